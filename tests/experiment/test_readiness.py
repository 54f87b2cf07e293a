"""What would fail after hours is said before."""

import copy
import shutil

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.checkout import ROOT, read_config, write_config
from vpbench.cli.main import main
from vpbench.compute import gpu
from vpbench.data import status
from vpbench.experiment import plan_space, readiness
from vpbench.spec import fingerprints, recipes
from vpbench.spec.grid import expand

SHIPPED = ("paper", "paper-fast", "lab", "smoke", "desk")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Makes this a machine without a GPU, datasets or weights."""
    monkeypatch.setattr(gpu, "visible", lambda: [])
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    for variable, folder in (("VPBENCH_DATA", "data"), ("VPBENCH_WEIGHTS", "weights")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / folder))


@pytest.fixture
def small():
    """Returns a configuration of a prompt and a probe of one twin."""
    config = copy.deepcopy(read_config("smoke"))
    config |= {"tasks": ["eurosat_twin"], "backbones": ["rn50_micro"], "variants": {}}
    config["grid"] = {"main": {"methods": ["visual_prompt"], "seeds": [0, 1]}}
    return config | {"measurements": {}, "analyses": {}}


def found(config, **settings):
    """Returns the problems of a configuration, its one block with `settings`."""
    config["grid"]["main"]["settings"] = settings
    return readiness.problems(expand(config, "given"))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"size": 29}, "padding"),  # 2 x 29 of 56 pixels
        ({"template": "fixed_patch", "size": 57}, "patch"),
        ({"template": "conditional", "size": 6}, "conditional"),
        ({"image_side": 57}, "image_side 57: the backbone's images have 56 pixels"),
        ({"label_map": "text"}, "the label map text does not fit rn50_micro; use hard_coded"),
        ({"label_map": "linear", "map_lr": None}, "label_map linear is trained: it needs a map_lr"),
        ({"text_encoder": "clip_micro"}, "is for the label map semantic alone"),
        ({"epochs": 5, "eval_epochs": [5, 8]}, "eval_epochs 8: the training ends after 5 epochs"),
    ],
)
def test_settings_that_no_run_can_have_are_found_once_and_by_name(small, settings, line):
    lines = found(small, **settings)
    assert len(lines) == 1 and line in lines[0], lines
    assert lines[0].startswith("results/runs/smoke/eurosat_twin/rn50_micro/visual_prompt/main/")


def test_settings_that_fit_are_no_problem(small):
    assert found(small, size=28, epochs=5, eval_epochs=[5], image_side=56) == []
    assert found(small, eval_epochs=100) == []  # every hundredth: the last one is looked at anyway


def test_more_classes_than_the_backbone_has_are_found(small, monkeypatch):
    assert found(small, label_map="random") == []
    monkeypatch.setattr(readiness, "classes_of", lambda spec: 148)
    (line,) = found(small, label_map="random")
    assert "has 148 classes, rn50_micro only 147 source classes: the label map random" in line


def test_a_probe_without_a_validation_split_cannot_choose(small):
    small |= {"kind": "real", "tasks": ["cifar10"], "backbones": ["rn50"]}
    small["data"] = dict.fromkeys(("train", "validation", "test")) | {"resolution": "backbone"}
    small["grid"]["main"]["methods"] = ["linear_probe"]
    lines = found(small, C=[0.1, 1])
    assert any(
        "cifar10 has no validation split to choose C on: give a single C" in x for x in lines
    )
    assert not any("validation split" in line for line in found(small, C=[0.1]))


def test_a_twin_with_too_few_or_endless_images_is_found(small):
    small["data"]["train"] = 9
    assert found(small) == ["eurosat_twin has 10 classes; train: 9 images are too few"]
    small["data"]["train"] = None
    assert found(small) == ["eurosat_twin is painted and has no end: say how many images of train"]


def test_a_folder_that_is_not_there_or_not_as_it_was_is_found(small, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    given = {"path": str(folder)}
    given["fingerprint"] = fingerprints.fingerprint(given)
    small |= {"kind": "real", "tasks": ["mine"], "folders": {"mine": given}}
    assert found(small) == []
    (folder / "new.png").touch()
    (line,) = found(small)
    assert line.startswith("folders.mine: ") and str(folder) in line
    (folder / "new.png").unlink()
    folder.rmdir()
    (line,) = found(small)
    assert line == f"folders.mine: {folder}: folder not read, No such file or directory"


@pytest.fixture
def weights(small, tmp_path):
    """Returns a configuration with a backbone of the hub, and the path of its weights."""
    small |= {"backbones": ["rn18"]}
    path = tmp_path / "weights" / "rn18.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    return small, path


def test_weights_that_are_cut_off_empty_or_something_else_are_found(weights):
    config, path = weights
    assert found(config) == []
    whole = path.read_bytes()
    for content, fault in (
        (whole[:-1], f"is cut off or no safetensors file: it has {len(whole) - 1:,} bytes"),
        (whole[:20], "is cut off or no safetensors file: it has 20 bytes"),
        (b"<html>not found</html>", "is cut off or no safetensors file: it has 22 bytes"),
        (b"", "is empty"),
    ):
        path.write_bytes(content)
        assert found(config) == [f"{path} {fault}; copy or download it again"]


def test_a_cut_off_archive_of_torch_is_found(weights):
    config, path = weights
    path.unlink()
    path = path.with_suffix(".pth")
    torch.save({"a": torch.zeros(1000)}, path)
    assert found(config) == []
    path.write_bytes(path.read_bytes()[:2000])
    assert found(config) == [
        f"{path} is cut off: it has 2,000 bytes and no end; copy or download it again"
    ]


@pytest.mark.parametrize("folder", ["data", "weights"])
def test_a_folder_that_a_rehearsal_has_made_is_found(weights, tmp_path, folder):
    config, _ = weights
    config |= {"kind": "real", "tasks": ["eurosat"]}
    config["data"] |= {"resolution": "backbone"}
    assert found(config) == []
    marker = tmp_path / folder / "rehearsal.json"
    marker.write_text("{}")
    assert found(config) == [
        f"{marker.parent} holds {folder} made up by a rehearsal (rehearsal.json), which only runs "
        "of the kind rehearsal may read; name another folder"
    ]


def test_a_disk_that_is_too_small_is_found(small, monkeypatch, tmp_path):
    small |= {"kind": "real", "tasks": ["cifar10"], "backbones": ["rn50"]}
    small["data"] = dict.fromkeys(("train", "validation", "test")) | {"resolution": "backbone"}
    wanted = expand(small, "given")
    # 0.35 GB of files, 60,000 x 224 x 224 x 3 bytes of cache, 25,557,032 x 4 of weights
    needed = 0.35 + 60_000 * 224**2 * 3e-9 + 25_557_032 * 4e-9
    assert plan_space.disk_needed(wanted, ["cifar10"], ["rn50"]) == pytest.approx(needed)
    usage = shutil.disk_usage(tmp_path)
    for free, lines in ((int(needed * 1e9) + 1_000, 0), (int(needed * 1e9) - 1_000, 1)):
        monkeypatch.setattr(
            plan_space.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free)
        )
        assert len(readiness.disk_problems(wanted)) == lines
    (line,) = readiness.disk_problems(wanted)
    assert "has 9.5 GB free" in line and "still take 9.5 GB" in line and "VPBENCH_DATA" in line


def test_a_package_that_is_not_installed_is_named_with_what_to_do(small, monkeypatch):
    small["measurements"] = {
        "dataset_properties": copy.deepcopy(
            read_config("paper")["measurements"]["dataset_properties"]
        )
    }
    small["measurements"]["dataset_properties"]["runs"] = {}
    small["measurements"]["dataset_properties"]["data"] = small["data"]
    wanted = expand(small, "given")
    monkeypatch.setattr(readiness, "find_spec", lambda name: None)
    assert readiness.missing_packages(wanted) == [
        "inception_v3 needs the package torch_fidelity: pip install torch-fidelity"
    ]
    monkeypatch.setattr(readiness, "find_spec", lambda name: name)
    assert readiness.missing_packages(wanted) == []


def test_weights_and_reference_of_a_measurement_follow_the_folders_of_the_machine(small, tmp_path):
    small["measurements"] = {
        "dataset_properties": copy.deepcopy(
            read_config("paper")["measurements"]["dataset_properties"]
        )
    }
    asked = small["measurements"]["dataset_properties"]
    asked |= {"runs": {}, "data": small["data"]}
    assert asked["settings"]["weights"] == "weights"
    assert asked["settings"]["reference"] == "data/imagenet/train"
    asked["settings"] |= {"reference_images": 2, "images": 2}
    save_file({"a": torch.zeros(1)}, tmp_path / "weights" / "lpips_alex.safetensors")
    (tmp_path / "data" / "imagenet" / "train" / "n01").mkdir(parents=True)
    for number in range(8):  # 2 of the reference, 3 times 2 further ones
        (tmp_path / "data" / "imagenet" / "train" / "n01" / f"{number}.JPEG").touch()
    (line,) = readiness.missing_references(expand(small, "given"))
    assert "weights-inception" in line and str(tmp_path / "weights") in line


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_configurations_have_no_problem_but_a_small_disk(name, monkeypatch):
    monkeypatch.setattr(readiness, "disk_problems", lambda wanted: [])
    config, where = recipes.read_configs([ROOT / "config" / f"{name}.yaml"])
    assert readiness.problems(expand(config, where)) == []


@pytest.mark.parametrize("name", ["paper", "lab"])
def test_nor_have_the_methods(name, monkeypatch):
    monkeypatch.setattr(readiness, "disk_problems", lambda wanted: [])
    files = [ROOT / "config" / f"{name}.yaml", ROOT / "config" / "methods" / f"{name}.yaml"]
    config, where = recipes.read_configs(files)
    assert readiness.problems(expand(config, where)) == []


def test_the_plan_says_it(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(status, "dataset_status", lambda name: {"state": "present"})
    small["grid"]["main"]["settings"] = {"size": 29}
    assert main(["plan", "--configfile", str(write_config(tmp_path, small))]) == 0
    said = capsys.readouterr().out
    assert "would fail, 1 in all:" in said and "padding" in said
