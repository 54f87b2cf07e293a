import pytest

from tests.helpers.checkout import plan, planned_jobs, read_config, write_config
from tests.helpers.fake_dataset import SIZES
from vpbench.data.preparation import prepare_all


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """Makes the data folder the default one, whatever the machine says."""
    monkeypatch.delenv("VPBENCH_DATA", raising=False)


def real(folder, **changes):
    """Returns the path of a configuration with two real datasets and four backbones."""
    config = read_config("smoke") | {
        "kind": "real",
        "tasks": ["cifar10", "svhn"],
        "backbones": ["clip_vit_b32", "clip_rn50", "rn50", "bit_m_r50x1"],
        "grid": {"main": {"methods": ["linear_probe"], "seeds": [0]}},
        "measurements": {},
        "analyses": {},
    }
    config["recipes"] = {
        name: {"every_backbone": recipe.get("every_backbone", {})}
        for name, recipe in config["recipes"].items()
    }
    return write_config(folder, config | changes)


def test_each_dataset_is_prepared_once_for_each_transform(suite):
    output = plan(suite, "--configfile", real(suite), "--", "data")
    assert planned_jobs(output) == {"prepare": 4, "data": 1}
    sizes = "train100_validation60_test120"
    for name in ("cifar10", "svhn"):
        for transform in ("resize224_bicubic_crop224", "resize256_bilinear_crop224"):
            assert f"data/cache/{name}/{transform}_{sizes}.prepared" in output


def test_recipes_that_shrink_images_have_a_cache_of_their_side_for_all_backbones(suite):
    recipe = {"size": 30, "lr": 1, "batch_size": 2, "epochs": 1, "map_lr": 0.1}
    changes = {"grid": {"main": {"methods": ["visual_prompt"], "seeds": [0]}}}
    changes["recipes"] = {"visual_prompt": {"every_backbone": recipe | {"image_side": 164}}}
    path = real(suite, tasks=["svhn"], **changes)
    output = plan(suite, "--configfile", path, "--", "data")
    assert planned_jobs(output) == {"prepare": 1, "data": 1}
    sizes = "train100_validation60_test120"
    assert f"data/cache/svhn/resize164_bicubic_crop164_{sizes}.prepared" in output


def test_native_caches_are_shared_by_all_transforms_and_the_folder_is_the_configured_one(suite):
    data = dict.fromkeys(SIZES) | {"resolution": "native"}
    path = real(suite, data=data, tasks=["cifar10"], data_dir="elsewhere")
    output = plan(suite, "--configfile", path, "--", "data")
    assert planned_jobs(output) == {"prepare": 1, "data": 1}
    assert "elsewhere/cache/cifar10/native.prepared" in output


def test_caches_that_only_measurements_read_are_made_as_well(suite):
    parts = {"train": None, "validation": None, "test": 25, "resolution": "backbone"}
    prompts = {"runs": {"methods": ["visual_prompt"]}, "data": parts}
    apart = {"extractor": "inception_v3", "diversity": "lpips_alex", "weights": "weights"}
    apart |= {"reference": "data/photos", "images": 9, "reference_images": 9, "pairs": 9, "seed": 0}
    recipe = {"size": 30, "lr": 1, "batch_size": 2, "epochs": 1}
    path = real(
        suite,
        tasks=["svhn"],
        backbones=["rn50", "bit_m_r50x1"],
        recipes={"visual_prompt": {"every_backbone": recipe}},
        grid={"main": {"methods": ["visual_prompt"], "seeds": [0]}},
        measurements={
            "transfer": prompts | {"settings": {"images": 25}},
            "dataset_properties": {"runs": {}, "data": parts, "settings": apart},
        },
        analyses={},
    )
    output = plan(suite, "--configfile", path, "--", "data")
    assert planned_jobs(output) == {"prepare": 3, "data": 1}
    for cache in (
        "resize256_bilinear_crop224_train100_validation60_test120",  # of the runs
        "resize256_bilinear_crop224_test25",  # of the measurement of their prompts
        "resize224_bicubic_crop224_test25",  # of a network that is no backbone
    ):
        assert f"data/cache/svhn/{cache}.prepared" in output
    assert "--image-side 224" in output and "--backbones rn50" in output


def test_a_cache_that_was_deleted_is_made_again(suite, tmp_path, monkeypatch):
    data = {"train": 50, "validation": 20, "test": 30, "resolution": "native"}
    path = real(suite, tasks=["digits"], backbones=["rn50"], data=data, data_dir=str(tmp_path))
    command = ["--configfile", path, "--", "data"]
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    folder = tmp_path / "cache" / "digits"
    done = folder / "native_train50_validation20_test30.prepared"
    prepare_all(["digits"], ["rn50"], data, done=done)
    assert "Nothing to be done" in plan(suite, *command)
    (folder / "native8" / "test.part30.npy").unlink()
    assert planned_jobs(plan(suite, *command)) == {"prepare": 1, "data": 1}


def test_twins_need_no_preparation(suite):
    output = plan(suite, "data")
    assert "config/lab.yaml has no real dataset: nothing to prepare." in output


def test_the_folder_of_the_data_is_no_reason_to_run_anything_again(suite):
    first, second = (
        plan(suite, "--configfile", real(suite, data_dir=folder)) for folder in ("here", "there")
    )
    runs = [line for line in first.splitlines() if "vpbench run-task" in line]
    assert runs and [line for line in second.splitlines() if "vpbench run-task" in line] == runs
