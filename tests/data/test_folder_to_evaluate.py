"""Folders of which a prompt is only evaluated."""

import pytest

from tests.helpers.folders import SMALL, fill, paint, refusal, sizes
from tests.helpers.messages import holds
from vpbench.data.image_folder import load_folder


def test_a_test_split_alone_is_enough_to_evaluate_and_too_little_to_fit(tmp_path):
    fill(tmp_path / "test", 2)
    assert sizes(load_folder(tmp_path, SMALL, to_fit=False)) == {"test": 6}
    holds(refusal(tmp_path), tmp_path, "train split has no images", "to_fit=False")


def test_one_class_is_enough_to_evaluate(tmp_path):
    for number in range(5):
        paint(tmp_path / "cat" / f"{number}.png", (number, 0, 0))
    task = load_folder(tmp_path, SMALL, to_fit=False)
    assert task.class_names == ("cat",)
    assert sizes(task) == {"train": 3, "validation": 1, "test": 1}


@pytest.mark.parametrize("template", [3, None, ["a {}"]])
def test_a_template_that_is_no_text_is_refused(tmp_path, template):
    holds(refusal(fill(tmp_path, 3), template=template), "template", "expected a text prompt, {}")


@pytest.mark.parametrize("seed", [-1, True, 1.0, "1", None])
def test_a_seed_that_is_no_whole_number_from_zero_on_is_refused(tmp_path, seed):
    holds(refusal(fill(tmp_path, 3), seed=seed), "seed", "expected a whole number, 0 or more")
