"""What the profiles set is set of rules that there are: Snakemake ignores any other name."""

import re

import pytest
import yaml

from tests.helpers.checkout import ROOT

FILES = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
RULES = {
    name
    for file in FILES
    for name in re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)", file.read_text(), re.MULTILINE)
}
PROFILES = {
    file.parent.name: yaml.safe_load(file.read_text())
    for file in sorted((ROOT / "profiles").glob("*/config.yaml"))
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_sets_what_rules_there_are_need(name):
    for key in ("set-threads", "set-resources"):
        assert set(PROFILES[name].get(key, {})) <= RULES


def test_on_slurm_the_rules_that_want_a_gpu_go_where_one_is_and_no_others():
    profile = PROFILES["slurm"]
    assert profile["default-resources"]["slurm_partition"] == "cpu"
    asked = {rule for rule, given in profile["set-resources"].items() if "slurm_partition" in given}
    assert asked == {"run", "features", "reference_photographs", "measure"}
