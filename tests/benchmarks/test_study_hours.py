import pytest

from benchmarks.study_hours import HOUR, Rate, blocks, main, per_second, report
from tests.helpers.checkout import read_config
from vpbench.spec.grid import expand

PROMPT = {"tasks": ["eurosat_twin"], "backbones": ["clip_micro"], "methods": ["visual_prompt"]}


def wanted():
    """Returns a grid: TP and LP, and a prompt of 2 epochs with two looks, which two blocks have."""
    config = read_config("smoke") | {"measurements": {}, "analyses": {}}
    config["grid"] = {
        "main": PROMPT | {"methods": ["text_prompt", "linear_probe"], "seeds": [0]},
        "prompts": PROMPT | {"seeds": [0]},
        "again": PROMPT | {"seeds": [0, 1]},
    }
    return expand(config, "given.yaml")


def test_the_hours_of_a_block_are_images_by_their_rates_and_a_run_counts_once():
    rates = {("clip_micro", "text_prompt"): Rate(1.0, 10.0)}
    rates |= {("clip_micro", "linear_probe"): Rate(5.0, 10.0)}
    rates |= {("clip_micro", "visual_prompt"): Rate(2.0, 10.0)}
    found = {name: rest for name, *rest in blocks(wanted(), rates)}
    # 100 training images, 180 to look at: TP looks once, LP fits as well
    assert found["main"] == [2, 0, pytest.approx((18 + 20 + 18) / HOUR)]
    one = pytest.approx((2 * 100 / 2 + 2 * 180 / 10) / HOUR)
    assert found["prompts"] == found["again"] == [1, 0.0002, one]
    lines = report(wanted(), rates, 1.0).splitlines()
    assert lines[-2].split() == ["all", "4", "1.09"]  # 56 + 136 + 136 seconds and an hour
    assert lines[-1].split() == ["on", "two", "cores", "0.55"]


def test_the_clock_is_that_of_the_processor():
    assert per_second(10, lambda: sum(range(10**5))) > 10


def test_a_configuration_that_is_none_is_refused_in_a_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
