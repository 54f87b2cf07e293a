import pytest

from analysis.common import published
from tests.helpers.tiny import TWINS
from vpbench.spec.backbones import ROLES
from vpbench.spec.methods import PAPER_METHODS
from vpbench.spec.tasks import TASKS


@pytest.mark.parametrize(
    ("number", "rows", "tasks"), [(1, 4, 12), (2, 4, 3), (4, 9, 12), (5, 9, 3)]
)
def test_the_printed_averages_are_the_averages_of_the_printed_rows(number, rows, tasks):
    groups = published.table(number).groupby(["role", "method"])
    assert len(groups) == rows
    for _, group in groups:
        values = dict(zip(group.task, group.value))
        printed = values.pop("average")
        assert len(values) == tasks
        assert sum(values.values()) / tasks == pytest.approx(printed, abs=0.1)


def stated(column):
    """Returns id of a claim -> its value in a column."""
    return published.claims().set_index("id")[column]


@pytest.mark.parametrize(
    "claim",
    [claim for claim in published.claims().itertuples() if claim.roles],
    ids=lambda claim: claim.id,
)
def test_the_numbers_of_the_text_follow_from_the_tables(claim):
    found = published.claimed(claim, published.accuracies(claim.table))
    if claim.relation == "at_least":
        assert found >= claim.published
    else:
        assert found == pytest.approx(claim.published, abs=0.1 + 1e-9)


def test_the_best_gain_of_the_text_is_a_tenth_above_in_table_1():
    values = published.accuracies(1)
    gain = values["clip", "visual_prompt", "svhn"] - values["clip", "text_prompt", "svhn"]
    assert gain == pytest.approx(83.3)
    assert stated("published")["best_gain"] == 83.2 and "83.3" in stated("note")["best_gain"]
    worst = values["clip", "visual_prompt", "food101"] - values["clip", "text_prompt", "food101"]
    assert worst == pytest.approx(-0.9)
    assert stated("published")["worst_gain"] == 1 and "-0.9" in stated("note")["worst_gain"]
    assert stated("published")["gain_varies"] == pytest.approx(gain - worst)


def test_numbers_that_the_text_leaves_to_the_reader_follow_from_the_tables():
    average = {
        (role, method): value
        for (role, method, task), value in published.accuracies(1, 4).items()
        if task == "average"
    }
    shift = {method: published.accuracies(2)["clip", method, "average"] for method in PAPER_METHODS}
    gap = {
        (role, rival): average[role, rival] - average[role, "visual_prompt"]
        for role in ROLES
        for rival in ("linear_probe", "fine_tune")
    }
    numbers = stated("published")
    nearest = min(gap[role, "linear_probe"] for role in ROLES if role != "clip")
    assert numbers["clip_most_effective"] == pytest.approx(nearest - gap["clip", "linear_probe"])
    for claim, rival in (
        ("shift_reduces_probe_gap", "linear_probe"), ("shift_reduces_fine_tune_gap", "fine_tune")
    ):  # fmt: skip
        under_shift = shift[rival] - shift["visual_prompt"]
        assert numbers[claim] == pytest.approx(gap["clip", rival] - under_shift)


def test_numbers_outside_the_tables_are_those_of_the_text():
    numbers = stated("published")
    assert numbers["parameter_counts"] == 2 * 3 * 30 * (224 + 224 - 2 * 30)  # section 3.2.2
    assert numbers["single_pixel"] == 3  # section 6.2
    assert numbers["semantic_over_swapped"] == 100 - 62.5  # section 6.3
    in_tables = published.claims().query("roles != '' or published.isna()").id
    assert set(numbers.index) - set(in_tables) == {
        *("clip_most_effective", "gain_varies", "parameter_counts", "single_pixel"),
        *("semantic_over_swapped", "shift_reduces_probe_gap", "shift_reduces_fine_tune_gap"),
    }


def test_a_claim_with_a_tolerance_has_a_number_and_an_exact_one_has_none():
    frame = published.claims().set_index("id")
    assert frame.published[frame.tolerance.notna()].notna().all()
    assert (frame.tolerance.dropna() >= 0).all()
    assert list(frame.index[frame.tolerance == 0]) == ["parameter_counts"]
    assert (frame.relation[frame.published.notna()] != "").all()


def test_a_claim_is_computed_from_any_accuracies():
    claims = published.claims().set_index("id")
    values = {}
    for role, ours, probe in (("instagram", 10, 40), ("bit_m", 20, 60), ("rn50", 30, 80)):
        values[role, "visual_prompt", "average"] = ours
        values[role, "linear_probe", "average"] = probe
    assert published.claimed(claims.loc["vision_gap"], values) == 40  # of 30, 40 and 50
    values = {}
    for task, ours, text in (("a", 50, 10), ("b", 20, 30), ("average", 99, 0)):
        values["clip", "visual_prompt", task] = ours
        values["clip", "text_prompt", task] = text
    assert published.claimed(claims.loc["best_gain"], values) == 40
    assert published.claimed(claims.loc["worst_gain"], values) == 10
    competitive = claims.loc["clip_competitive"]  # 5 points less than the probe are allowed
    values = {("clip", "visual_prompt", "average"): 50, ("clip", "linear_probe", "average"): 57}
    assert published.claimed(competitive, values) == -2
    values = {
        (role, method, task): value
        for role, probe in (("instagram", 5), ("bit_m", 7))
        for method, value in (("visual_prompt", 10), ("linear_probe", probe))
        for task in ("svhn", "clevr", "other")
    }
    assert published.claimed(claims.loc["vision_over_probe"], values) == 3


def test_every_published_dataset_and_model_is_described():
    datasets = published.table(published.DATASETS)
    tasks = [TASKS[name] for name in TWINS if TASKS[name].published]
    assert list(datasets.task) == [task.published for task in tasks]
    templates = dict(zip(datasets.task, datasets.template))
    assert templates == {task.published: task.template for task in tasks}
    with_validation = dict(zip(datasets.task, datasets.validation.notna()))
    assert with_validation == {task.published: task.paper_validation for task in tasks}
    models = published.table(published.MODELS)
    assert dict(zip(models.role, models.model)) == ROLES
