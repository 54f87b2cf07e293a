"""What a rehearsal holds against the plan."""

from types import SimpleNamespace

import pytest

from tests.helpers.checkout import read_config
from vpbench.experiment.rehearsal import planned
from vpbench.experiment.rehearsal.outcomes import FAILS, HOLDS
from vpbench.records import reading
from vpbench.spec import memory_costs
from vpbench.spec.grid import expand


@pytest.fixture
def prompts():
    """Returns two specs of the lab by the paths of their records."""
    specs = expand(read_config("lab"), "").specs
    return {f"run_{number}": spec for number, spec in enumerate(list(specs.values())[:2])}


@pytest.mark.parametrize(("share", "outcome"), [(0.99, HOLDS), (1.01, FAILS)])
def test_a_run_may_take_what_its_job_asks_for_and_no_more(
    prompts, share, outcome, tmp_path, monkeypatch
):
    asked = [memory_costs.host_mb(spec, on_gpu=False) for spec in prompts.values()]

    def read(path):
        took = share * asked[1] if path.name == "run_1" else 10
        return {"measured": {"peak_memory_mb": took * 1e6 / 2**20}}

    monkeypatch.setattr(reading, "read", read)
    machine = SimpleNamespace(device="cpu")
    found = list(planned.memory(tmp_path, machine, SimpleNamespace(specs=prompts)))
    assert {each.verdict for each in found} == {outcome}
    assert f"took {share * asked[1] / 1000:.1f} GB" in found[0].reason
