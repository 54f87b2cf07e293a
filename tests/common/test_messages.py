"""What an unknown name is told."""

import time

import pytest

from vpbench.common.messages import first_line, instead, nearest
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.tasks import TASKS


@pytest.mark.parametrize(
    ("name", "legal", "near"),
    [
        ("clip_mirco", BACKBONES, ["clip_micro"]),
        ("CLIP_MICRO", BACKBONES, ["clip_micro"]),
        ("euro", TASKS, ["eurosat", "eurosat_twin"]),
        ("zz", TASKS, []),
        (3, ["31", "4"], ["31"]),
        (None, TASKS, []),
    ],
)
def test_the_nearest_names_are_those_that_look_like_it_or_hold_it(name, legal, near):
    assert sorted(nearest(name, legal)[: len(near) or 3]) == sorted(near)


def test_what_to_do_is_the_nearest_name_or_all_if_few_or_where_they_stand():
    assert instead("paddin", ["padding", "fixed_patch"]) == "did you mean padding?"
    assert instead("ring", ["padding", "fixed_patch"]) == "choose one of: padding, fixed_patch"
    assert instead("xyzzy", TASKS) == "`vpbench list` prints all"
    assert instead("xyzzy", TASKS, "see there") == "see there"
    assert instead("a", []) == "choose one of: "


def test_a_hostile_name_is_looked_for_in_no_time():
    started = time.process_time()
    nearest("abc" * 100_000, [f"model_{number}" * 5 for number in range(2000)])
    assert time.process_time() - started < 5


def test_what_an_exception_says_loses_its_colours():
    said = ValueError("\x1b[96mThis is step 3/3\x1b[0m of the\x1b[1;31m export\nand more")
    assert first_line(said) == "This is step 3/3 of the export"
    assert first_line(ValueError("\x1b[0m")) == "ValueError"
