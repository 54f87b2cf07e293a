"""The audit of class names, on confusions that are made up."""

import numpy as np
import pytest
from matplotlib import pyplot

from analysis.common import cells
from analysis.figures import zero_shot_audit
from analysis.figures.zero_shot_audit import circles, flags
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_lost_predictions, check_products, figure_text
from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside
from vpbench.common.errors import RecordError


def run(folder, matrix, names=None, task="eurosat_twin", seed=0, variant="default", **settings):
    """Returns a run of the text prompt with these confusions, class by class."""
    matrix = np.array(matrix)
    made = record(task, "clip_micro", "text_prompt", 50.0, seed=seed, variant=variant)
    made["spec"]["settings"] = {"text_prompt": None, "class_names": None} | settings
    made["task"]["classes"] = len(matrix)
    made["task"]["class_names"] = names or [f"name_{number}" for number in range(len(matrix))]
    true, given = np.indices(matrix.shape).reshape(2, -1).repeat(matrix.ravel(), axis=1)
    ids = [f"test/{number}" for number in range(len(true))]
    return beside(made, folder, predictions={"id": ids, "label": true, "prediction": given})


def diagonal(classes, right, wrong):
    """Returns confusions with `right` images of each class right, and `wrong` per other class."""
    return np.full((classes, classes), wrong) + (right - wrong) * np.eye(classes, dtype=int)


def flagged(matrix):
    """Returns class -> flag for classes with names of their own."""
    found = flags(matrix, [str(number) for number in range(len(matrix))])
    return {number: one["flag"] for number, one in sorted(found.items())}


def hard(classes, images, seed):
    """Returns drawn confusions of a hard task: all looks alike, and some names draw more."""
    generator = np.random.default_rng(seed)
    looks, pull = generator.normal(size=(classes, 2)), generator.normal(size=classes)
    distance = np.linalg.norm(looks[:, None] - looks, axis=2)
    odds = np.exp(pull - 0.4 * distance)
    return np.array([generator.multinomial(images, row / row.sum()) for row in odds])


def test_a_class_has_its_accuracy_its_share_and_what_it_is_taken_for(tmp_path):
    matrix = [[8, 2, 0], [1, 5, 4], [0, 0, 10]]
    frame = zero_shot_audit.audit([run(tmp_path, matrix, ["A_b", "Sea-or-Lake", "c"])])
    assert list(frame.class_name) == ["a b", "sea or lake", "c"]
    assert list(frame.accuracy) == [80, 50, 100] and list(frame.images) == [10, 10, 10]
    assert list(frame.share) == pytest.approx([30, 70 / 3, 140 / 3])
    assert tuple(frame[["low", "high"]].iloc[1]) == cells.wilson(50, 10)
    assert list(frame.taken_for[:2]) == ["sea or lake", "c"] and frame.taken_for.isna()[2]
    assert list(frame.taken_for_share[:2]) == [20, 40]
    assert frame.flag.isna().all()


def test_two_exchanged_names_are_found_with_what_they_cost():
    matrix = diagonal(5, 30, 2)
    matrix[[1, 3]] = matrix[[3, 1]]
    found = flags(matrix, list("abcde"))
    assert sorted(found) == [1, 3] and {one["flag"] for one in found.values()} == {"exchanged"}
    assert found[1]["gain"] == pytest.approx(100 * (2 * 28) / (5 * 38))
    assert found[1]["reason"] == (
        "30 of its 38 images are called 'd', 2 by its own name; "
        "exchanging the two names adds 29.5 points of accuracy"
    )


def test_names_moved_by_one_are_found_even_where_one_class_says_nothing():
    classes = 12
    matrix = np.roll(diagonal(classes, 30, 1), 1, axis=1)
    assert flagged(matrix) == dict.fromkeys(range(classes), "permuted")
    assert flags(matrix, list("abcdefghijkl"))[0]["gain"] == pytest.approx(100 * 29 / 41)
    matrix[4] = 3  # its images are called anything
    assert flagged(matrix) == dict.fromkeys(set(range(classes)) - {4}, "permuted")


def test_two_circles_are_two_relabellings():
    matrix = diagonal(9, 40, 1)[[1, 0, 3, 4, 2, 5, 6, 7, 8]]
    assert [sorted(circle) for circle, _ in circles(matrix)] == [[0, 1], [2, 3, 4]]
    found = flags(matrix, list("abcdefghi"))
    assert [found[number]["gain"] for number in (0, 2)] == pytest.approx(
        [100 * 78 / 432, 100 * 117 / 432]
    )


def test_a_class_that_is_taken_for_another_one_is_not_wrongly_named():
    matrix = diagonal(5, 30, 2)
    matrix[1] = [0, 3, 35, 0, 0]  # but images of class 2 are called by their own name
    assert flagged(matrix) == {}
    matrix[2] = [2, 2, 3, 29, 2]  # 1 -> 2 -> 3 is no circle either: those of 3 are right
    assert flagged(matrix) == {}
    matrix[3] = 7  # nor if those of 3 are called anything: nothing speaks for closing it
    assert zero_shot_audit.more_often(matrix[1, 2], matrix[1, 1]) < 1e-6
    assert zero_shot_audit.more_often(matrix[2, 3], matrix[2, 2]) < 1e-5
    assert flagged(matrix) == {}


@pytest.mark.parametrize("seed", range(20))
def test_a_merely_hard_task_has_no_flags(seed):
    matrix = hard(classes=15, images=300, seed=seed)
    own = np.diag(matrix)[:, None]
    assert own.sum() < 0.3 * matrix.sum()
    assert (zero_shot_audit.more_often(matrix, own) < 1e-6).any()  # taken for others, not by chance
    assert flagged(matrix) == {}


def test_predictions_at_random_have_no_flags():
    generator = np.random.default_rng(0)
    for classes in (2, 10, 100):
        matrix = generator.multinomial(50, np.ones(classes) / classes, size=classes)
        assert flagged(matrix) == {}


def test_few_images_are_no_evidence():
    exchanged = np.array([[0, 6], [6, 0]])  # each with a chance of 1 in 64
    assert flagged(exchanged) == {}
    assert flagged(2 * exchanged) == {0: "exchanged", 1: "exchanged"}


def test_a_class_is_never_predicted_only_if_chance_would_have_predicted_it():
    def unseen(images):
        matrix = diagonal(10, 50, 1)
        matrix[:, 9] = 0
        matrix[9] = [images, *[0] * 9]
        return matrix

    assert flagged(unseen(40)) == {9: "never predicted"}
    # (1 - n/N)^N is near exp(-n), and 0.01 of 10 classes is 0.001: from 7 images on
    assert flagged(unseen(7)) == {9: "never predicted"} and flagged(unseen(6)) == {}


def test_classes_without_images_are_left_alone(tmp_path):
    matrix = diagonal(4, 20, 1)
    matrix[2] = 0
    frame = zero_shot_audit.audit([run(tmp_path, matrix)])
    assert frame.images[2] == 0 and frame.accuracy.isna()[2] and frame.flag.isna().all()
    zero_shot_audit.draw(frame, LAB, [])
    pyplot.close("all")


def test_names_that_are_the_same_after_refinement_are_flagged(tmp_path):
    names = ["polka-dotted", "Polka_Dotted", "striped"]
    matrix = [[20, 0, 0], [20, 0, 0], [0, 0, 20]]  # the first of two equal texts always wins
    frame = zero_shot_audit.audit([run(tmp_path, matrix, names)])
    assert list(frame.flag[:2]) == ["duplicate", "duplicate"] and frame.flag.isna()[2]
    assert frame.reason[0] == "the same text as that of class 1"


def test_the_names_are_those_that_were_said(tmp_path):
    said = run(tmp_path, diagonal(2, 9, 1), ["a", "b"], variant="words", class_names=["X", "Y_z"])
    assert list(zero_shot_audit.audit([said]).class_name) == ["x", "y z"]
    digits = run(tmp_path, diagonal(10, 9, 1), task="svhn_twin", class_names="svhn.words")
    assert list(zero_shot_audit.audit([digits]).class_name[[0, 9]]) == ["zero", "nine"]
    digits["spec"]["settings"]["class_names"] = "svhn.wrods"
    with pytest.raises(RecordError, match="seed0.json: class_names: 'svhn.wrods' is not a list"):
        zero_shot_audit.audit([digits])


def test_runs_are_in_the_order_of_the_descriptions_and_a_second_seed_adds_nothing(tmp_path):
    matrix = diagonal(3, 9, 1)
    made = [
        run(tmp_path, matrix, task="svhn_twin"),
        run(tmp_path, matrix, variant="words"),
        run(tmp_path, matrix, seed=1),
        run(tmp_path, matrix),
    ]
    found = zero_shot_audit.audited(made)
    names = [(task, variant) for task, _, variant in found]
    assert names == [("eurosat", "default"), ("eurosat", "words"), ("svhn", "default")]
    assert found["eurosat", "clip_micro", "default"]["spec"]["seed"] == 0


def test_two_kinds_of_runs_under_one_name_are_refused(tmp_path):
    made = [run(tmp_path / name, diagonal(2, 9, 1)) for name in ("one", "two")]
    made[1]["spec"]["data"] = {"train": 1}
    with pytest.raises(RecordError, match="two kinds of runs of eurosat clip_micro default"):
        zero_shot_audit.audit(made)


def test_the_figure_names_what_is_flagged(tmp_path):
    matrix = diagonal(4, 30, 1)[[2, 1, 0, 3]]
    made = [run(tmp_path, matrix, ["forest", "river", "$x^1$", "lake"])]
    made.append(run(tmp_path, diagonal(4, 30, 1), variant="words"))
    figure = zero_shot_audit.draw(zero_shot_audit.audit(made), LAB, [])
    figure.canvas.draw()  # broken mathematics would be an error
    said = figure_text(figure)
    assert "2 of 4: forest, $x^1$" in said
    assert "EuroSAT twin, words" in said and "Two names look exchanged" in said
    assert "Never predicted" not in said and "Lab scale" in said
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_the_audit_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = [run(tmp_path / "runs", diagonal(10, 60, 4))] if some else []
    assert len(check_products(zero_shot_audit, made, tmp_path)) == (10 if some else 0)
    assert some or capsys.readouterr().err == (
        "warning: not run: the text prompt alone, on any dataset\n"
    )


def test_lost_predictions_of_the_audit_are_one_line(tmp_path, capsys):
    made = [run(tmp_path / "runs", diagonal(3, 9, 1))]
    check_lost_predictions(zero_shot_audit, made, tmp_path, capsys)
