import io
import math
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import torch
from matplotlib import pyplot
from PIL import Image

from analysis.common import cells
from analysis.figures import deployability
from tests.helpers import analyses
from tests.helpers.analyses import LAB, NOWHERE
from tests.helpers.fake_measurements import measurement
from tests.helpers.fake_records import record
from tests.helpers.tiny import DATA, EVP, spec
from vpbench.common.errors import RecordError
from vpbench.experiment import run, side_files
from vpbench.experiment.measurements import deployability as measured
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.twins import eurosat

NOISE = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8))
WORDS = {"class_names": sorted(eurosat.CLASS_NAMES, reverse=True)}  # so most texts are wrong


def gray():
    """Returns a backbone with mean 0.5 and standard deviation 0.25 that is not there."""

    def scale_pixels(images):
        return images.permute(0, 3, 1, 2).float() / 255

    def normalize(pixels):
        return (pixels - 0.5) / 0.25

    return SimpleNamespace(
        device=torch.device("cpu"),
        mean=torch.tensor(0.5),
        std=torch.tensor(0.25),
        scale_pixels=scale_pixels,
        normalize=normalize,
        prepare=lambda images: normalize(scale_pixels(images)),
    )


def classifier(prompt, prompt_space="normalized"):
    """Returns a classifier whose logits are what its backbone sees of a prompted image."""
    settings = {"prompt_space": prompt_space, "image_side": None}
    return PromptedClassifier(prompt, torch.nn.Flatten(), gray(), settings)


def first_values(level, prompt, prompt_space="normalized"):
    """Returns condition -> the first value that the model sees of a picture of one grey level."""
    images = torch.full((1, 8, 8, 3), level, dtype=torch.uint8)
    conditions = measured.seen(images, classifier(prompt, prompt_space), [])
    return {condition: values[0, 0].item() for condition, _, values in conditions}


@pytest.fixture(scope="module")
def prompted(tmp_path_factory, clip, task):
    """Returns the loaded record of a prompt with words of its own."""
    one = spec(lr=20.0, **WORDS)
    path = record_path(one, tmp_path_factory.mktemp("runs"))
    side_files.write_run(path, *run.run(one, task, clip), task, clip)
    return reading.load([path])[0]


def test_a_picture_is_clamped_and_rounded_and_the_prompt_is_not_added_again():
    # 204 of 255 is 0.8, so 1.2 normalised; half a unit more is 0.925 or 235.875 of 255.
    values = first_values(204, lambda x: x + 0.5)
    assert values["unprompted"] == pytest.approx(1.2, abs=1e-6)
    assert values["unbounded"] == values["clamped"] == pytest.approx(1.7, abs=1e-6)
    assert values["8_bit"] == pytest.approx((236 / 255 - 0.5) / 0.25, abs=1e-6)
    values = first_values(204, lambda x: x + 3)
    assert values["unbounded"] == pytest.approx(4.2, abs=1e-6)
    assert values["clamped"] == values["8_bit"] == pytest.approx(2.0, abs=1e-6)


def test_a_prompt_before_normalisation_is_in_pixel_units():
    values = first_values(51, lambda pixels: pixels - 0.3, "pixel")
    assert values["unbounded"] == pytest.approx((0.2 - 0.3 - 0.5) / 0.25, abs=1e-6)
    assert values["8_bit"] == pytest.approx(-2.0, abs=1e-6)


def test_every_quality_is_tried_with_and_without_the_prompt():
    qualities = [95, 50]
    seen = list(measured.seen(NOISE, classifier(lambda x: x + 0.1), qualities))
    assert [condition for condition, *_ in seen[4:]] == [
        *("jpeg_95", "unprompted_jpeg_95", "jpeg_50", "unprompted_jpeg_50")
    ]
    values = {condition: logits for condition, _, logits in seen}
    plain = gray().prepare(measured.jpeg(NOISE, 50))
    torch.testing.assert_close(values["unprompted_jpeg_50"], plain.flatten(1))
    errors = [(values[f"jpeg_{q}"] - values["8_bit"]).abs().mean().item() for q in qualities]
    assert 0 < errors[0] < errors[1]


def test_jpeg_files_are_those_that_pillow_writes_by_itself():
    decoded = measured.jpeg(NOISE, 75)
    assert decoded.dtype == torch.uint8 and decoded.shape == NOISE.shape
    for picture, found in zip(NOISE, decoded):
        file = io.BytesIO()
        Image.fromarray(picture.numpy()).save(file, "JPEG", quality=75)
        assert np.array_equal(np.asarray(Image.open(file)), found.numpy())


def test_a_random_patch_stays_where_it_is_from_one_condition_to_the_next():
    generator = torch.Generator().manual_seed(0)

    def restless(x):
        return x + 0.01 * torch.randn((), generator=generator)

    values = first_values(128, restless)
    assert values["unbounded"] == pytest.approx(values["clamped"], abs=1e-6)


def test_without_a_picture_in_between_a_prompt_has_the_accuracy_of_its_run(prompted, task):
    settings = {"images": 1000, "jpeg_qualities": [75]}
    found = measured.measure(lambda _: task, settings, [prompted], torch.device("cpu"))
    rows = {row["condition"]: row for row in found.rows}
    accuracy = prompted["selection"][prompted["rule"]]["test"]["accuracy"]
    assert rows["unbounded"]["accuracy"] == pytest.approx(accuracy)
    assert rows["unbounded"]["images"] == DATA["test"]
    assert rows["unbounded"]["backbone"] == "clip_micro" and rows["jpeg_75"]["quality"] == 75
    predictions = reading.arrays(prompted, "predictions")
    right = predictions["prediction"] == predictions["label"]
    number = list(rows).index("unbounded")
    assert np.array_equal(found.arrays["correct"][number], right)


@pytest.fixture
def written(tmp_path):
    """Returns a function that makes the loaded record of a run."""

    def make(one, task, backbone):
        path = record_path(one, tmp_path)
        side_files.write_run(path, *run.run(one, task, backbone), task, backbone)
        return reading.load([path])[0]

    return make


def test_a_shrunk_image_and_a_learned_map_have_the_accuracy_of_their_run(written, task, resnet):
    settings = EVP | {"label_map": "linear", "map_lr": 0.01}
    one = written(spec("evp", backbone="rn50_micro", lr=5.0, **settings), task, resnet)
    settings = {"images": 1000, "jpeg_qualities": []}
    found = measured.measure(lambda _: task, settings, [one], torch.device("cpu"))
    rows = {row["condition"]: row["accuracy"] for row in found.rows}
    accuracy = one["selection"][one["rule"]]["test"]["accuracy"]
    assert rows["unbounded"] == pytest.approx(accuracy)


def test_an_ensemble_of_prompts_is_refused_by_its_file(written, task, clip):
    one = written(spec(ensemble_size=2, epochs=1, eval_epochs=[]), task, clip)
    settings = {"images": 10, "jpeg_qualities": []}
    with pytest.raises(ValueError, match=r"seed0.json: an ensemble of prompts is several pictures"):
        measured.measure(lambda _: task, settings, [one], torch.device("cpu"))


def test_without_a_prompt_an_image_is_read_in_the_words_of_the_run(prompted, task, clip):
    settings = {"images": 1000, "jpeg_qualities": []}
    found = measured.measure(lambda _: task, settings, [prompted], torch.device("cpu"))
    for words, same in ((WORDS, True), ({}, False)):
        _, predictions, _ = run.run(spec("text_prompt", **words), task, clip)
        right = predictions["prediction"] == predictions["label"]
        assert np.array_equal(found.arrays["correct"][0], right) == same


def test_only_the_first_images_are_measured(prompted, task):
    settings = {"images": 10, "jpeg_qualities": []}
    found = measured.measure(lambda _: task, settings, [prompted], torch.device("cpu"))
    assert found.arrays["correct"].shape == (4, 10)
    assert {row["images"] for row in found.rows} == {10}
    shares = 100 * found.arrays["correct"].mean(axis=1)
    assert [row["accuracy"] for row in found.rows] == pytest.approx(list(shares))


CONDITIONS = {  # condition -> quality, how many of ten images are right
    "unprompted": (None, 2),
    "unbounded": (None, 8),
    "clamped": (None, 7),
    "8_bit": (None, 6),
    "jpeg_75": (75, 5),
    "unprompted_jpeg_75": (75, 1),
}


def made(task, folder, backbones=("clip_micro",), more=0, seeds=(0,), variants=("default",)):
    """Returns the path of a measurement; each next seed has one right image less."""
    rows, correct = [], []
    for backbone in backbones:
        for seed, variant in zip(seeds, variants * len(seeds)):
            for condition, (quality, right) in CONDITIONS.items():
                row = {"backbone": backbone, "variant": variant, "seed": seed}
                rows.append(row | {"condition": condition, "quality": quality})
                correct.append(np.arange(10) < right + more - seed)
    return measurement("deployability", task, rows, folder, correct=correct)


def table(*paths):
    """Returns the rows of measurements by backbone, task and condition."""
    frame = deployability.accuracies(reading.load(paths))
    return frame.set_index(["backbone", "task", "condition"])


def test_a_loss_is_that_against_the_prompt_as_it_was_learned(tmp_path):
    frame = table(made("svhn_twin", tmp_path))
    row = frame.loc["clip_micro", "svhn", "jpeg_75"]
    assert (row.role, row.quality, row.images, row.seeds, row.tasks) == ("clip", 75, 10, 1, 1)
    assert (row.accuracy, row.loss) == pytest.approx((50, 30))
    assert (row.low, row.high) == pytest.approx(cells.wilson(50, 10))
    assert row.loss_low < 30 < row.loss_high
    assert frame.loc["clip_micro", "svhn", "unbounded"].loss == 0
    assert frame.loc["clip_micro", "svhn", "unprompted"].loss == pytest.approx(60)


def test_tasks_and_seeds_are_averaged(tmp_path):
    paths = (
        made("svhn_twin", tmp_path, seeds=(0, 1)),
        made("dtd_twin", tmp_path, seeds=(0, 1), more=2),
    )
    frame = table(*paths)
    assert frame.loc["clip_micro", "svhn", "8_bit"].accuracy == pytest.approx(55)
    row = frame.loc["clip_micro", "all", "8_bit"]
    assert (row.accuracy, row.loss) == pytest.approx((65, 20))
    assert (row.tasks, row.seeds, row.images) == (2, 2, 20)


def test_seeds_widen_accuracies_by_their_variance_and_losses_by_that_of_their_losses():
    def prompts(*shares):
        return np.array([np.arange(1000) < 10 * share for share in shares])

    pairs = {
        "svhn": (prompts(70, 72), prompts(60, 62)),  # every prompt loses as much
        "dtd": (prompts(80, 88), prompts(70, 78)),
    }
    row = deployability.losses_of(pairs, ["svhn"])
    spread = math.sqrt((2 + 32) / 2)  # of the accuracies, pooled over both tasks
    part = 4.302653 * spread / math.sqrt(2)  # two degrees of freedom, two seeds
    assert (row["accuracy"], row["loss"], row["seed_variance"]) == (61, pytest.approx(10), "own")
    assert row["high"] - 61 == pytest.approx(math.hypot(part, cells.wilson(61, 1000)[1] - 61))
    image = 1.96 * 100 * math.sqrt((0.08 + 0.04 / 4 - 0.1**2) / 1000)
    assert row["loss_high"] - 10 == pytest.approx(image, abs=0.1)
    uneven = {"svhn": (prompts(70, 72), prompts(60, 60))}
    row = deployability.losses_of(uneven, ["svhn"])
    assert row["loss_high"] - 11 == pytest.approx(12.706205, abs=0.2)  # t of one; losses 10 and 12
    assert row["high"] == cells.wilson(60, 1000)[1]


def test_two_kinds_of_prompts_are_not_mixed(tmp_path):
    path = made("svhn_twin", tmp_path, seeds=(0, 1), variants=("default", "large"))
    with pytest.raises(RecordError, match="several variants for svhn: default, large"):
        table(path)
    path = made("svhn_twin", tmp_path, seeds=(0, 0))
    with pytest.raises(RecordError, match="two measurements of svhn clip_micro unprompted"):
        table(path)


def test_a_model_without_a_measurement_is_named():
    done = {("clip", task) for shift in (False, True) for task in cells.tasks_of(shift)}
    done |= {("rn50", "svhn")}
    missing = deployability.lacking(done, LAB)
    assert missing[0] == "Instagram, BiT-M on any dataset"
    assert missing[1].startswith("RN50 on CIFAR100, ") and "SVHN" not in missing[1]
    assert len(missing) == 2


def test_the_reference_is_compressed_like_the_prompted_picture(tmp_path):
    frame = deployability.accuracies(reading.load([made("svhn_twin", tmp_path)]))
    mean = frame[frame.task == deployability.ALL]
    plain = mean.condition.str.startswith("unprompted")
    assert deployability.without_prompt(mean[plain], mean[~plain]) == [20, 20, 20, 10]


@pytest.mark.parametrize("tasks", [(), ("svhn_twin", "dtd_twin")])
def test_the_analysis_writes_its_files_whatever_was_measured(tmp_path, capsys, tasks):
    backbones = ("clip_micro", "rn50_micro", "bit_m_micro")[: len(tasks) + 1]
    paths = [str(made(task, tmp_path / "runs", backbones)) for task in tasks]
    out, folder = tmp_path / "deployability.csv", tmp_path / "figures"
    command = ["--runs", "--measurements", *paths, "--out", str(out), "--figures", str(folder)]
    assert analyses.run("deployability", *command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == deployability.COLUMNS
    assert len(frame) == len(CONDITIONS) * (len(tasks) + 1) * len(backbones) * bool(tasks)
    assert "not run: " in capsys.readouterr().err
    assert (folder / "deployability.png").stat().st_size > 10_000
    assert b"/Type /Font" in (folder / "deployability.pdf").read_bytes()


def test_the_figure_names_its_scale_and_what_was_not_run(tmp_path):
    frame = deployability.accuracies(reading.load([made("svhn_twin", tmp_path)]))
    figure = deployability.draw(frame, LAB, ["BiT-M on any dataset"])
    assert "Lab scale: procedural twins" in figure.get_suptitle()
    assert figure.legends[0].get_title().get_text() == "Not run: BiT-M on any dataset."
    assert (
        figure.axes[0].get_title()
        == "CLIP: 8 bit \N{MINUS SIGN}20.0, JPEG 75 \N{MINUS SIGN}30.0 points"
    )
    empty = deployability.draw(deployability.accuracies([]), NOWHERE, ["CLIP on any dataset"])
    assert "Not run: CLIP on any dataset." in [text.get_text() for text in empty.axes[0].texts]
    pyplot.close("all")


def test_prompts_of_two_weight_files_are_never_averaged(tmp_path):
    made = [record(task, "clip_micro", "visual_prompt", 50.0) for task in ("dtd_twin", "svhn_twin")]
    for number, one in enumerate(made):
        one["file"] = f"{number}.json"
        one["hashes"] = {"weights": f"{number}" * 64, "data": None}
    with pytest.raises(RecordError, match="0.json and 1.json: the weights of clip_"):
        deployability.write(made, [], tmp_path / "a.csv", tmp_path)
