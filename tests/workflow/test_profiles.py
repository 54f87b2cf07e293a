"""The shipped profiles, read as strictly as a configuration."""

import pytest

from tests.helpers.checkout import ROOT
from vpbench.common.strict_yaml import read_config


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").iterdir()), ids=lambda p: p.name)
def test_no_profile_says_a_thing_twice(profile):
    assert read_config(profile / "config.yaml")["keep-going"] is True
