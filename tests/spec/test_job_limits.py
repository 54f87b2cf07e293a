"""Minutes and starts of jobs, worked out by hand."""

import pytest

from tests.helpers.checkout import ROOT
from vpbench.spec import costs, job_limits, recipes
from vpbench.spec.config_schema import config_schema
from vpbench.spec.grid import expand


@pytest.fixture
def hours(monkeypatch):
    """Makes the hours of a run the spec itself."""
    monkeypatch.setattr(job_limits, "hours_of", lambda spec: spec)


@pytest.mark.parametrize(
    ("runs", "minutes"),
    [
        ([1.0], 90),  # 1.5 times an hour
        ([0.5, 0.25], 68),  # of 45 minutes 67.5
        ([0.01], 10),  # a minute of computing, but there are libraries to import
        ([100.0], 240),
        ([None], 240),  # a backbone for CPUs, or a folder of images
        ([0.5, None], 240),
    ],
)
def test_a_job_has_half_as_much_again_as_its_plan_and_no_more_than_the_most(hours, runs, minutes):
    assert job_limits.runtime(runs, 240) == minutes


def test_the_most_is_the_most_even_below_what_starting_takes(hours):
    assert job_limits.runtime([100.0], 1) == 1


@pytest.mark.parametrize(
    ("jobs", "most", "starts"),
    [
        ([[100.0], [3.0]], 60, 103),  # 100 slices of an hour, and 3 to spare
        ([[100.0]], 240, 28),
        ([[0.5, 0.75]], 60, 5),  # a job of two runs: 1.25 hours
        ([[None]], 60, 103),  # a folder of images: as many as the longest of the paper
        ([], 60, 3),
    ],
)
def test_a_job_is_started_again_until_its_longest_run_is_through(hours, jobs, most, starts):
    assert job_limits.retries(jobs, most) == starts
    longest = max((sum(hour or 0 for hour in runs) for runs in jobs), default=0)
    assert (1 + starts) * most >= 60 * longest


def test_a_configuration_may_say_the_most():
    assert job_limits.max_runtime({}) == 240
    assert job_limits.max_runtime({"max_runtime": 60}) == 60
    described = config_schema()["properties"]["max_runtime"]["description"]
    assert "minutes" in described and "240" in described


@pytest.mark.parametrize("name", ["paper", "paper-fast"])
def test_the_longest_run_of_the_paper_ends_within_its_starts(name):
    config, where = recipes.read_configs([ROOT / "config" / f"{name}.yaml"])
    wanted = expand(config, where)
    most = config["max_runtime"]
    longest = max(costs.hours_of(spec) for spec in wanted.specs.values())
    starts = 1 + job_limits.retries(wanted.jobs.values(), most)
    assert longest * 60 <= (starts - 3) * most
    minutes = {job_limits.runtime(specs, most) for specs in wanted.jobs.values()}
    assert min(minutes) == 10 and max(minutes) <= most
