import pytest

from benchmarks.growth import WORDS, draw, many_jobs, render, row, slope
from vpbench.spec.grid import expand


def test_the_slope_is_the_exponent_of_a_power():
    assert slope([1, 2, 4, 8], [3, 6, 12, 24]) == pytest.approx(1)
    assert slope([1, 10, 100], [5, 500, 50_000]) == pytest.approx(2)
    assert slope([1, 10], [7, 7]) == pytest.approx(0, abs=1e-12)


def test_what_is_fixed_flattens_the_left_end_only():
    values = [1, 10, 100, 1000, 10_000]
    seconds = {("images", value): [1 + value] * 3 for value in values}
    found = row("images", seconds, seconds)
    assert found["values"] == values
    assert found["seconds"][1] == {"median": 11, "low": 11, "high": 11}
    assert found["slope"] == pytest.approx(1, abs=0.03)
    assert found["slope_of_all"] < 0.97


def test_each_run_of_a_seed_is_a_job_of_its_own():
    one, two = (expand(many_jobs(seeds), "lab") for seeds in (1, 2))
    assert len(one.jobs) == len(one.specs)
    main = len(one.blocks["main"])
    assert len(two.jobs) == len(one.jobs) + main


def test_the_figure_and_the_table_have_everything_that_grows(tmp_path):
    points = {(name, value): [value / 100] * 2 for name in WORDS for value in (10, 20, 40)}
    rows = [row(name, points, points) for name in WORDS]
    result = {"rows": rows, "done": "Made up.", "goals": []}
    assert draw(result, tmp_path / "new") == tmp_path / "new" / "growth.png"
    assert (tmp_path / "new" / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "(growth.png)" in render(result)
    for name in WORDS.values():
        assert f"| {name} | 10 to 40 | 0.100" in render(result)
