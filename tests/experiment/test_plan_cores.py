"""The hours of cores that small backbones take."""

import pytest
import torch

from tests.helpers.checkout import read_config
from vpbench.common.errors import UserError
from vpbench.experiment import plan, plan_cores, throughput
from vpbench.spec.grid import expand

PROMPT = {"tasks": ["eurosat_twin"], "backbones": ["clip_micro"], "methods": ["visual_prompt"]}


def wanted(*backbones):
    """Returns a grid: TP and LP, and a prompt of 2 epochs with two looks, which two blocks have."""
    config = read_config("smoke") | {"measurements": {}, "analyses": {}}
    config["grid"] = {
        "main": PROMPT | {"methods": ["text_prompt", "linear_probe"], "seeds": [0]},
        "prompts": PROMPT | {"seeds": [0]},
        "again": PROMPT | {"seeds": [0, 1]},
    }
    return expand(config, "given.yaml")


def test_core_hours_are_passes_by_speed_and_a_run_counts_once(monkeypatch):
    monkeypatch.setattr(plan_cores, "cores", lambda: 4)
    grid = wanted()
    spent = plan.hours(grid, {"clip_micro": 0.1})
    # 100 training images, 180 to look at; TP looks, LP takes features, VP goes there and back twice
    passes = {"text_prompt": 180, "linear_probe": 280, "visual_prompt": 2 * 2 * 100 + 2 * 180}
    for path, run in grid.specs.items():
        assert spent[path] == pytest.approx(passes[run["method"]] / 0.1 / 3600)
    lines = plan.report_cores(grid, spent, 1.0)
    # 180 + 280 + 2 x 760 passes are 5.5 hours, with an hour of painting 6.5; on 4 cores 1.625, less
    # than the longest run: 760 passes, 2.1 hours
    said = "all runs: 6.5 core-hours, 1.0 of them to paint the twins; on 4 cores, as here, at best"
    assert f"{said} 2.1 hours" in lines
    assert any(line.startswith("longest run: 2.1 hours, visual_prompt of euro") for line in lines)
    rows = {line.split()[0]: line.split()[-1] for line in lines if line}
    assert (rows["main"], rows["prompts"], rows["again"]) == ("1.3", "2.1", "2.1")
    assert lines[0].startswith("core-hours: measured on one core of this machine")


def test_the_plan_of_small_backbones_says_core_hours_and_no_hours_of_gpus(monkeypatch):
    monkeypatch.setattr(plan_cores, "speeds", lambda names: dict.fromkeys(names, 1.0))
    monkeypatch.setattr(plan_cores, "painting", lambda grid: 0.0)
    parts = list(plan.sections(read_config("smoke"), "smoke.yaml"))
    heads = [part[0].split(":")[0] for part in parts]
    assert heads[1] == "core-hours" and "GPU-hours" not in heads


def test_a_core_is_measured_by_the_processor_and_threads_are_as_before(monkeypatch):
    seen = []

    def measured(name, precision, device, seconds, batch, clock):
        seen.append((name, precision, device.type, clock.__name__, torch.get_num_threads()))
        if name == "absent":
            raise UserError("the package is not installed")
        return 5.0

    monkeypatch.setattr(throughput, "measured", measured)
    before = torch.get_num_threads()
    assert plan_cores.speeds(["clip_micro", "absent"]) == {"clip_micro": 5.0, "absent": None}
    assert seen[0] == ("clip_micro", "fp32", "cpu", "process_time", 1)
    assert torch.get_num_threads() == before


def test_painting_is_counted_once_for_each_job_and_task(monkeypatch):
    monkeypatch.setattr(plan_cores, "per_second", lambda images, work: 10.0)
    grid = wanted()
    assert len(grid.jobs) == 3  # each paints its 280 images
    assert plan_cores.painting(grid) == pytest.approx(3 * 280 / 10 / 3600)


def test_images_per_second_are_of_the_processor(monkeypatch):
    times = iter((1.0, 3.0))
    monkeypatch.setattr(plan_cores.time, "process_time", lambda: next(times))
    assert plan_cores.per_second(10, lambda: None) == 5.0
    assert plan_cores.cores() >= 1
