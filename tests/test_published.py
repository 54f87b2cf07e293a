import pytest

from analysis import published
from vpbench.catalogue import ROLES, TASKS


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


@pytest.mark.parametrize("claim", list(published.claims().itertuples()), ids=lambda claim: claim.id)
def test_the_numbers_of_the_text_follow_from_the_tables(claim):
    found = published.claimed(claim, published.accuracies(claim.table))
    if claim.relation == "at_least":
        assert found >= claim.value
    else:
        assert found == pytest.approx(claim.value, abs=0.1 + 1e-9)


def test_the_best_gain_of_the_text_is_a_tenth_below_that_of_table_1():
    values = published.accuracies(1)
    gain = values["clip", "visual_prompt", "svhn"] - values["clip", "text_prompt", "svhn"]
    assert gain == pytest.approx(83.3)
    stated = published.claims().set_index("id").value
    assert stated["best_gain"] == 83.2


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
    assert published.claimed(claims.loc["worst_gain"], values) == -10


def test_every_published_dataset_and_model_is_in_the_catalogue():
    datasets = published.table(published.DATASETS)
    assert list(datasets.task) == [task.published for task in TASKS.values()]
    assert dict(zip(datasets.task, datasets.template)) == {
        task.published: task.template for task in TASKS.values()
    }
    with_validation = dict(zip(datasets.task, datasets.validation.notna()))
    assert with_validation == {task.published: task.paper_validation for task in TASKS.values()}
    models = published.table(published.MODELS)
    assert dict(zip(models.role, models.model)) == ROLES
