"""The datasets with CoOp's splits, of a few images, with the split as if it were published."""

import hashlib
import json

from scipy.io import savemat

from vpbench.data.datasets import coop, split_files
from vpbench.experiment.rehearsal.listed_files import write_coop
from vpbench.spec.class_names import read_manifest
from vpbench.spec.dataset_facts import FACTS

PATHS = {  # dataset -> paths of two images of label 0 and one of label 1, as in the real files
    "flowers102": ("image_06765.jpg", "image_06734.jpg", "image_05086.jpg"),
    "food101": ("apple_pie/134.jpg", "apple_pie/1005649.jpg", "baby_back_ribs/1.jpg"),
    "eurosat": (
        "AnnualCrop/AnnualCrop_9.jpg",
        "AnnualCrop/AnnualCrop_1.jpg",
        "Forest/Forest_2.jpg",
    ),
    "sun397": ("a/abbey/sun_aa.jpg", "a/abbey/sun_ab.jpg", "a/airplane_cabin/sun_aa.jpg"),
    "ucf101": (
        "Apply_Eye_Makeup/v_ApplyEyeMakeup_g08_c01.jpg",
        "Apply_Eye_Makeup/v_ApplyEyeMakeup_g08_c02.jpg",
        "Apply_Lipstick/v_ApplyLipstick_g01_c01.jpg",
    ),
    "oxfordpets": ("Abyssinian_100.jpg", "Abyssinian_101.jpg", "american_bulldog_3.jpg"),
    "dtd": ("banded/banded_0002.jpg", "banded/banded_0004.jpg", "blotchy/blotchy_0003.jpg"),
}  # fmt: skip


def publish(monkeypatch, path, document):
    """Returns `path` once it holds the split `document`, as if that one were the published file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=4))
    (name,) = [n for n, files in split_files.SPLIT_FILES.items() if files[0].file == path.name]
    monkeypatch.setitem(split_files.SPLIT_FILES, name, (pinned(name, path.read_bytes()),))
    return path


def pinned(name, data, url=None):
    """Returns the published file of `name` as if it held `data`, and lay at `url`."""
    (published,) = split_files.SPLIT_FILES[name]
    sha256 = hashlib.sha256(data).hexdigest()
    return published._replace(sha256=sha256, url=url or published.url)


def rows(name):
    """Returns a tiny split of `name`: two training images of class 0, a test image of class 1."""
    first, second, third = PATHS[name]
    names = read_manifest(name)
    train, val = [[first, 0, names[0]]], [[second, 0, names[0]]]
    return {"train": train, "val": val, "test": [[third, 1, names[1]]]}


def place(monkeypatch, root, name="eurosat", document=None, images=None):
    """Returns the folder of the images, once they and their split are under `root`."""
    document = document or rows(name)
    publish(monkeypatch, write_coop(root, name, document, images), document)
    return root / (images or coop.IMAGES[name][0])


def shrink(monkeypatch, name, classes=2, **sizes):
    """Returns None; from here on Table 6 has these sizes."""
    sizes = sizes or {"train": 1, "validation": 1, "test": 1}
    monkeypatch.setitem(FACTS, name, FACTS[name]._replace(classes=classes, sizes=sizes))


def touch(path):
    """Returns None once the file `path` is there, empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def write_lines(path, lines):
    """Returns None once `path` holds the lines; the last one has no end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def official(name, root, count=10):
    """Returns None once `root` has `count` images of three classes and the official lists."""
    folder = root / coop.IMAGES[name][-1]
    if name == "flowers102":
        labels = [3, 1, 2] * count  # 1 to 102
        for number in range(1, len(labels) + 1):
            touch(folder / f"image_{number:05d}.jpg")
        savemat(folder.parent / "imagelabels.mat", {"labels": [labels]})
    elif name == "oxfordpets":
        lines = []
        for label, breed in enumerate(("Abyssinian", "american_bulldog", "Bengal"), start=1):
            for number in range(2 * count):
                touch(folder / f"{breed}_{number}.jpg")
                lines.append(f"{breed}_{number} {label} 1 1")
        write_lines(folder.parent / "annotations" / "trainval.txt", lines[0::2])
        write_lines(folder.parent / "annotations" / "test.txt", lines[1::2])
    elif name == "sun397":
        classes = ["/a/abbey", "/a/airplane_cabin", "/a/apse/indoor"]
        lines = [f"{each}/sun_{number:02}.jpg" for each in classes for number in range(2 * count)]
        for line in lines:
            touch(folder / line[1:])
        write_lines(folder / "ClassName.txt", classes)
        write_lines(folder.parent / "Training_01.txt", lines[0::2])
        write_lines(folder.parent / "Testing_01.txt", lines[1::2])
    elif name == "ucf101":
        actions = {"ApplyEyeMakeup": "Apply_Eye_Makeup", "HandstandPushups": "Handstand_Pushups"}
        actions["YoYo"] = "Yo_Yo"
        train, test = [], []
        for label, (action, spaced) in enumerate(actions.items(), start=1):
            stem = "HandStandPushups" if action == "HandstandPushups" else action
            for number in range(2 * count):
                touch(folder / spaced / f"v_{stem}_g{number:02}_c01.jpg")
                video = f"{action}/v_{stem}_g{number:02}_c01.avi"
                train.append(f"{video} {label}") if number % 2 else test.append(video)
        lists = folder.parent / "ucfTrainTestlist"
        write_lines(lists / "classInd.txt", [f"{n} {a}" for n, a in enumerate(actions, start=1)])
        write_lines(lists / "trainlist01.txt", train)
        write_lines(lists / "testlist01.txt", test)


def folders_of_images(name, root, count=10, folders=None):
    """Returns None once `root` has the first three class folders of a dataset."""
    folders = folders or read_manifest("eurosat.folders" if name == "eurosat" else name)[:3]
    for folder in folders:
        for number in range(count):
            touch(root / coop.IMAGES[name][0] / folder / f"{number:02}.jpg")
