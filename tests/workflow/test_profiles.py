"""The shipped profiles, read as strictly as a configuration."""

import re

import pytest

from tests.helpers.checkout import ROOT
from vpbench.common.strict_yaml import read_config

FILES = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
RULES = {
    name
    for file in FILES
    for name in re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").iterdir()), ids=lambda p: p.name)
def test_no_profile_says_a_thing_twice(profile):
    assert read_config(profile / "config.yaml")["keep-going"] is True


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").iterdir()), ids=lambda p: p.name)
def test_a_profile_names_only_rules_that_there_are(profile):
    given = read_config(profile / "config.yaml")
    assert set(given.get("set-threads", {})) | set(given.get("set-resources", {})) <= RULES


def test_on_slurm_the_rules_that_want_a_gpu_go_where_one_is_and_no_others():
    profile = read_config(ROOT / "profiles/slurm/config.yaml")
    assert profile["default-resources"]["slurm_partition"] == "cpu"
    asked = {rule for rule, given in profile["set-resources"].items() if "slurm_partition" in given}
    assert asked == {"run", "features", "reference_photographs", "measure"}
