"""The plan's arithmetic on configurations that can be worked out by hand."""

import copy
import math

import pytest
import torch

from tests.helpers.checkout import (
    ROOT,
    copy_suite,
    planned_jobs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.messages import holds
from vpbench.cli.main import main
from vpbench.common import paths
from vpbench.compute import gpu
from vpbench.experiment import plan, plan_cores, plan_space, readiness, throughput
from vpbench.spec import costs
from vpbench.spec.backbones import BACKBONES, Backbone
from vpbench.spec.grid import expand
from vpbench.spec.label_maps import LABEL_MAPS

# timm, results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv: training steps of these models in
# images per second; vit_base_patch32_224, ig_resnext101_32x8d, resnetv2_50x1_bitm (448 pixels) ...
TIMM = {
    "clip_vit_b32": 1708.63,
    "clip_vit_b16": 392.99,
    "clip_vit_l14": 85.06,
    "instagram_32x8d": 311.13,
    "instagram_32x16d": 65.9,
    "bit_m_r50x1": 147.75 * 4,
    "bit_m_r101x1": 84.72 * 4,
    "bit_m_r50x3": 34.68 * 4,
    "bit_m_r101x3": 18.05 * 4,
    "rn18": 3481.78,
    "rn50": 1218.01,
    "rn101": 747.89,
    "rn152": 501.44,
}
A100_PER_3090 = 2600 / 1218.01  # ResNet-50; timm, issue 1491


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Returns a configuration of 7 runs, on a machine without a GPU, datasets or weights."""
    monkeypatch.setattr(gpu, "visible", lambda: [])
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    for variable, folder in (("VPBENCH_DATA", "data"), ("VPBENCH_WEIGHTS", "weights")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    config = copy.deepcopy(read_config("paper"))
    config["data"] = {"train": 100, "validation": None, "test": 50, "resolution": "backbone"}
    config["tasks"], config["task_data"] = ["cifar10"], {}
    config["backbones"] = ["clip_vit_b32", "rn50"]
    config["grid"] = {
        "main": {
            "methods": ["text_prompt", "visual_prompt", "linear_probe", "fine_tune"],
            "seeds": [0],
            "settings": {"epochs": 4, "eval_epochs": 2},
            "variants": ["default"],
        }
    }
    config["measurements"], config["variants"] = {}, {}
    config["analyses"] = {"table1": {}, "cost": {}}
    return config


def run_of(config, method, backbone="rn50"):
    """Returns (path, spec) of one run of a configuration."""
    specs = expand(config, "").specs.items()
    return next(
        (path, spec)
        for path, spec in specs
        if (spec["method"], spec["backbone"]) == (method, backbone)
    )


@pytest.mark.parametrize(
    ("method", "backbone", "passes"),
    [
        ("text_prompt", "clip_vit_b32", 50),  # the test images once
        ("linear_probe", "rn50", 100 + 50),  # everything once
        ("visual_prompt", "rn50", 4 * 2 * 100 + 2 * 50),  # there and back; looks at 2 and 4
        ("fine_tune", "rn50", 4 * 3 * 100 + 2 * 50),  # there, back, and to the weights
    ],
)
def test_passes_are_training_images_there_and_back_and_looks_at_the_others(
    small, method, backbone, passes
):
    assert costs.passes_of(run_of(small, method, backbone)[1]) == passes


def test_a_look_is_at_validation_and_test_and_a_number_of_images_never_more_than_there_are(small):
    small["tasks"] = ["dtd"]  # 2,820 / 1,128 / 1,692
    small["data"] |= {"train": 10_000}
    small["grid"]["main"]["settings"] = {"epochs": 1000, "eval_epochs": 1}
    passes = costs.passes_of(run_of(small, "visual_prompt")[1])
    assert passes == 1000 * (2 * 2_820 + 1_128 + 50)


@pytest.mark.parametrize(
    ("label_map", "counts"),
    [("hard_coded", 0), ("frequency", 1), ("iterative", 4), ("bayesian", 4), ("bayesian_plus", 4)],
)
def test_a_label_map_that_is_counted_costs_a_pass_of_the_training_images_each_time(
    small, label_map, counts
):
    small["grid"]["main"]["settings"]["label_map"] = label_map
    small["backbones"] = ["rn50"]
    small["grid"]["main"]["methods"] = ["visual_prompt"]
    plain = 4 * 2 * 100 + 2 * 50
    assert costs.passes_of(run_of(small, "visual_prompt")[1]) == plain + counts * 100
    small["grid"]["main"]["settings"]["template"] = (
        "none"  # nothing is trained: one count, one look
    )
    assert costs.passes_of(run_of(small, "visual_prompt")[1]) == (counts > 0) * 100 + 50


def test_the_plan_knows_when_label_maps_are_counted():
    counted = {name: entry.refresh for name, entry in LABEL_MAPS.items() if entry.refresh}
    every_epoch = dict.fromkeys(["iterative", "bayesian", "bayesian_plus"], "epoch")
    assert counted == {"frequency": "once"} | every_epoch


def test_hours_are_passes_by_speed(small):
    spent = plan.hours(expand(small, ""), {"rn50": 0.25, "clip_vit_b32": None})
    path, _ = run_of(small, "visual_prompt")
    assert spent[path] == pytest.approx(900 / 0.25 / 3600)  # one hour
    path, _ = run_of(small, "visual_prompt", "clip_vit_b32")
    assert spent[path] is None


def test_without_a_gpu_the_speed_is_the_share_of_an_a100_by_the_flops(small):
    per_second, what = plan.speeds(expand(small, ""), stated=False)
    assert "A100" in what and "not measured" in what
    # 20 % of 312 TFLOP/s through 8.2 GFLOPs
    assert per_second["rn50"] == pytest.approx(0.2 * 312e12 / 8.2e9, rel=0.01)
    small["engine"]["precision"] = "fp32"
    slow, _ = plan.speeds(expand(small, ""), stated=False)
    # float32 itself, not TF32: 19.5 of the 312 TFLOP/s (data sheet)
    assert slow["rn50"] == pytest.approx(per_second["rn50"] / 16)


def test_with_a_gpu_every_backbone_is_measured_unless_stated_speeds_are_asked_for(
    small, monkeypatch
):
    monkeypatch.setattr(gpu, "visible", lambda: ["0"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Abacus")
    monkeypatch.setattr(throughput, "measured", lambda name, precision, device: 1000.0 + len(name))
    per_second, what = plan.speeds(expand(small, ""), stated=False)
    assert per_second == {"rn50": 1004.0, "clip_vit_b32": 1012.0} and "Abacus" in what
    _, what = plan.speeds(expand(small, ""), stated=True)
    assert "A100" in what


def test_a_measured_speed_is_that_of_steps_of_a_prompt():
    assert throughput.measured("rn18", "fp32", torch.device("cpu"), seconds=0.05, batch=2) > 0


def test_the_shares_are_those_of_the_published_speeds():
    for name, per_second in TIMM.items():
        flops = per_second * 3 * BACKBONES[name].gflops * 1e9 * A100_PER_3090
        assert BACKBONES[name].gpu_share == pytest.approx(flops / 312e12, abs=0.0101), name
    usual = Backbone._field_defaults["gpu_share"]
    assert {name for name in BACKBONES if BACKBONES[name].gpu_share != usual} <= TIMM.keys()


def test_jobs_are_counted_as_snakemake_counts_them(small, tmp_path):
    small["measurements"] = {"transfer": read_config("paper")["measurements"]["transfer"]}
    given = write_config(tmp_path, small)
    output = snakemake(copy_suite(tmp_path), "--dry-run", "--configfile", given, "--", "all")
    jobs = plan.jobs(expand(small, ""))
    pages = dict.fromkeys(["claims", "tables", "report", "all"], 1)
    probes = {"features": 2, "regression": 2}
    assert jobs == {"run": 5, "measure": 1, "table1": 1, "cost": 1} | probes | pages
    assert planned_jobs(output) == jobs
    small["granularity"] = "per_task"
    jobs = plan.jobs(expand(small, ""))  # one for CLIP, one for the vision model
    assert jobs == {"run_task": 2, "measure_all": 1, "table1": 1, "cost": 1} | pages


def test_a_cache_is_counted_once_per_dataset_and_transform(small):
    small["data"] = {"train": None, "validation": None, "test": None, "resolution": "backbone"}
    small["tasks"] = ["cifar10", "camelyon17"]
    small["task_data"] = {"camelyon17": {"resolution": "native"}}
    parts = plan_space.cached_parts(expand(small, ""))
    cifar = 2 * 60_000 * 224**2 * 3  # the transforms of CLIP and of the vision models
    camelyon = (302_436 + 34_904 + 85_054) * 96**2 * 3
    assert sum(part.bytes for part in parts.values()) == cifar + camelyon


def test_the_plan_says_the_most_memory_of_each_method(small):
    lines = plan_space.report_memory(expand(small, ""))
    # 25.6 million parameters, frozen in 4 + 4 + 2 bytes and trained in 16, 64 images of 21.5
    # million values of 2 bytes with 15 % around them, 1.25 GB of CUDA: 5.1 GB
    fine_tune = next(line for line in lines if line.startswith("  FT: "))
    assert fine_tune.split(" and ")[1].startswith(f"{plan_space.number(card_of())}, cifar10 on")
    assert len(lines) == 1 + 4 + 1


def test_the_plan_for_the_cpu_counts_the_model_as_memory_of_the_machine(small, monkeypatch):
    monkeypatch.setenv("VPBENCH_DEVICE", "cpu")
    lines = plan_space.report_memory(expand(small, ""))
    fine_tune = next(line for line in lines if line.startswith("  FT: "))
    # Libraries, labels; weights as loaded, folded and in 16 bits, 4 times to train; 64 images
    held = 1.1e9 + 150 * 300 + 5 * 50 * 10 * 4
    clip = held + 4 * 151.277313e6 + 4 * 87.849216e6 * 5.5 + 64 * 9.14e6 * 2 * 1.15
    rn50 = held + 4 * 25.557032e6 * 6.5 + 64 * 21.5e6 * 2 * 1.15
    most = plan_space.number(max(clip, rn50) / 1e9)
    assert most == "5.0"
    assert fine_tune == f"  FT: {most} and 0.00, cifar10 on clip_vit_b32"


@pytest.mark.parametrize("place", ["configuration", "environment"])
def test_a_device_that_is_none_is_refused_by_the_plan(small, tmp_path, monkeypatch, capsys, place):
    if place == "environment":
        monkeypatch.setenv("VPBENCH_DEVICE", "quark")
    else:
        small["device"] = "quark"
    assert main(["plan", "--configfile", str(write_config(tmp_path, small))]) == 2
    said = capsys.readouterr()
    where = "VPBENCH_DEVICE" if place == "environment" else "at device"
    holds(said.err.strip(), where, "'quark'", "no device; choose auto, cpu, cuda, cuda:1 or mps")
    assert said.out == ""


def card_of():
    """Returns the most gigabytes of the GPU of a fine-tune on either backbone, by hand."""
    rn50 = 25.557032e6 * (10 + 16) + 64 * 21.5e6 * 2 * 1.15 + 1.25e9
    clip = 151.277313e6 * 4 + 87.849216e6 * (6 + 16) + 64 * 9.14e6 * 2 * 1.15 + 1.25e9
    return max(rn50, clip) / 1e9


def test_the_plan_names_what_is_missing_and_how_to_get_it(small, tmp_path, capsys):
    given = str(write_config(tmp_path, small))
    assert main(["plan", "--configfile", given]) == 0
    said = capsys.readouterr().out
    assert f"{given}: 7 runs at paper scale" in said
    assert "cifar10 (missing): vpbench data download cifar10" in said
    weights = tmp_path / "weights" / "rn50.safetensors"
    assert f"https://huggingface.co/timm/resnet50.tv_in1k at {weights}" in said
    weights.parent.mkdir()
    weights.touch()
    assert main(["plan", "--configfile", given]) == 0
    said = capsys.readouterr().out
    assert "weights of rn50" not in said and "weights of clip_vit_b32" in said
    assert f"{weights} is empty; copy or download it again" in said


def test_networks_and_photographs_of_a_measurement_are_looked_for(small, tmp_path):
    measured = copy.deepcopy(read_config("paper")["measurements"]["dataset_properties"])
    measured["settings"] |= {"weights": str(tmp_path), "reference": str(tmp_path / "photographs")}
    small["measurements"] = {"dataset_properties": measured}
    wanted = expand(small, "")
    inception, lpips, photographs = readiness.missing_references(wanted)
    assert "inception" in inception and "lpips_alex" in lpips
    # 100,000 and three further draws of as many images as are measured
    assert "photographs; give one with 130,000 photographs" in photographs
    (tmp_path / "photographs").mkdir()
    assert "photographs has 0; give one with 130,000" in readiness.missing_references(wanted)[2]
    measured["settings"] |= {"reference_images": 5, "images": 2}
    for number in range(11):
        (tmp_path / "photographs" / f"{number}.JPEG").touch()
    assert readiness.missing_references(wanted) == [inception, lpips]
    (tmp_path / "lpips_alex.safetensors").touch()
    assert readiness.missing_references(wanted) == [
        inception, f"dataset_properties: {tmp_path}/lpips_alex.safetensors is empty"
    ]  # fmt: skip


def test_what_has_no_known_cost_is_said_and_not_counted(capsys, monkeypatch):
    monkeypatch.setattr(gpu, "visible", lambda: [])
    monkeypatch.setattr(plan_cores, "speeds", dict.fromkeys)
    monkeypatch.setattr(plan_cores, "painting", lambda wanted: 0.0)
    smoke = str(ROOT / "config" / "smoke.yaml")
    assert main(["plan", "--configfile", smoke]) == 0
    said = capsys.readouterr().out
    assert "not known for 33 runs" in said and "all runs: " not in said
    assert "no dataset is read from disk" in said
    assert "missing: nothing" in said and "would fail: nothing" in said


def test_the_largest_run_bounds_the_time_on_many_gpus(small):
    wanted = expand(small, "")
    spent = {path: 48.0 if "fine_tune" in path else 24.0 for path in wanted.specs}
    lines = "\n".join(plan.report_hours(wanted, spent, "by hand"))
    # 2 x 48 + 5 x 24 hours are 9 days; on 8 and on 64 GPUs a run still takes its 2
    assert "all runs: 216 GPU-hours; days at best on as many GPUs: 1: 9.0, 8: 2.0, 64: 2.0" in lines
    assert "longest run: 48 hours, fine_tune of cifar10" in lines
    assert "jobs of at most 240 minutes (max_runtime), each started again up to 4 times" in lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema: 2\n", "it lacks"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path, capsys, text, words):
    path = tmp_path / "given.yaml"
    path.write_text(text)
    assert main(["plan", "--configfile", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and words in lines[0] and str(path) in lines[0]


def test_numbers_are_short():
    assert list(map(plan_space.number, (0.042, 3.21, 1234.5, None))) == [
        "0.04",
        "3.2",
        "1,234",
        "?",
    ]
    assert math.isclose(
        plan_space.free_space(paths.data_dir()), plan_space.free_space(ROOT), rel_tol=0.1
    )
