import pytest

from tests.helpers.checkout import copy_suite, read_config, snakemake, write_config
from tests.helpers.messages import holds


@pytest.mark.slow
def test_jobs_compute_on_the_device_that_the_configuration_says(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_DEVICE", "cpu")  # which the configuration overrules
    suite = copy_suite(tmp_path)
    grid = {"main": {"methods": ["text_prompt"], "seeds": [0]}}
    only = {"tasks": ["eurosat_twin"], "backbones": ["clip_micro"], "granularity": "per_run"}
    config = read_config("smoke") | only | {"variants": {}, "grid": grid}
    path = write_config(suite, config | {"measurements": {}, "analyses": {}})
    record = "results/runs/smoke/eurosat_twin/clip_micro/text_prompt/default/seed0.json"
    given = ("--cores", "1", "--configfile", str(path), "--config", "device=cuda:99", "--", record)
    output = snakemake(suite, *given, succeeds=False)
    (line,) = {line for line in output.splitlines() if line.startswith("vpbench: ")}
    holds(line, "device 'cuda:99'", "not usable here", "cpu, cuda")
    snakemake(suite, *(each.replace("cuda:99", "cpu") for each in given))
    assert (suite / record).is_file()
    log = (suite / record.replace("runs", "logs").replace("json", "log")).read_text()
    assert log.startswith("device: cpu (")
