"""Effects of the choices of a recipe, from records that no run made."""

import math
from itertools import product

import numpy as np
import pytest
from matplotlib import pyplot
from scipy.stats import t

from analysis.common import factorial
from analysis.figures import recipe_factorial
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_products, figure_text, prompt, row_of
from vpbench.common.errors import RecordError

OFFICIAL = {
    "prompt_space": "normalized",
    "init": "normal",
    "warm_up": 0.05,
    "augmentation": "none",
    "momentum": 0.9,
    "gradient": "plain",
}
CHANGED = {
    "prompt_space": "pixel",
    "init": "zeros",
    "warm_up": 0,
    "augmentation": "flip_crop",
    "momentum": 0,
    "gradient": "unit",
}
TASKS = ("eurosat_twin", "dtd_twin")
SQUARE = {(0, 0): 40.0, (1, 0): 44.0, (0, 1): 50.0, (1, 1): 62.0}  # zeros?, unit? -> accuracy


def run(accuracy, validation=None, task=TASKS[0], seed=0, lr=10, **levels):
    """Returns a run of the official recipe with other levels of some factors."""
    return prompt(accuracy, validation, seed, task=task, **OFFICIAL | levels, lr=lr)


def design(factors, accuracy, tasks=TASKS, **fixed):
    """Returns the runs of a factorial; `accuracy` is asked with the number of the task and whether
    each of the factors is changed."""
    made = []
    for number, task in enumerate(tasks):
        for changed in product((0, 1), repeat=len(factors)):
            chosen = {
                name: (CHANGED if on else OFFICIAL)[name] for name, on in zip(factors, changed)
            }
            made.append(run(accuracy(number, *changed), task=task, **fixed | chosen))
    return made


def square(tasks=TASKS[:1], **fixed):
    """Returns the runs of a square of two factors, computed with by hand."""
    return design(("init", "gradient"), lambda task, *on: SQUARE[on] + 2 * task, tasks, **fixed)


def rows_of(made):
    """Returns the table of these runs."""
    return factorial.effects(factorial.factorial(made))


def drawn(made):
    """Returns all that the figure of these runs says."""
    found = factorial.factorial(made)
    frame, missing = factorial.effects(found), recipe_factorial.gaps_of(found)
    said = figure_text(recipe_factorial.draw(frame, found, LAB, missing))
    pyplot.close("all")
    return said


def test_the_effects_of_a_square_are_those_computed_by_hand():
    frame = rows_of(square())
    eurosat = frame[frame.task == "eurosat"]
    init = row_of(eurosat, kind="main effect", factor="init")
    gradient = row_of(eurosat, kind="main effect", factor="gradient")
    both = row_of(eurosat, kind="interaction")
    assert (init.measured, gradient.measured, both.measured) == (8, 14, 4)  # 4 and 12; 10 and 18
    assert (both.factor, both.other) == ("init", "gradient")
    # The deviations from 49 are 9, 5, 1 and 13: squares of 276 = 8 * 8 + 14 * 14 + 4 * 4.
    shares = [100 * part / 276 for part in (64, 196, 16)]
    assert [init.share, gradient.share, both.share] == pytest.approx(shares)
    assert init.levels == "init normal to zeros"
    # The effects at the two levels of the gradient, 4 and 12, have a standard error of 4.
    half = 4 * t.ppf(0.975, 1)
    assert (init.low, init.high, init.pairs) == pytest.approx((8 - half, 8 + half, 2))
    assert math.isnan(both.low) and both.pairs == 1


def test_an_average_is_over_the_datasets_and_so_are_its_pairs():
    made = design(("init",), lambda task, on: 50 + (task + 1) * 3 * on)
    average = row_of(rows_of(made), task="average", kind="main effect")
    assert (average.measured, average.pairs, average.share) == (4.5, 2, pytest.approx(100))
    half = 1.5 * t.ppf(0.975, 1)
    assert (average.low, average.high) == pytest.approx((4.5 - half, 4.5 + half))


def test_the_effects_of_four_factors_are_those_of_a_regression():
    factors = ("prompt_space", "warm_up", "momentum", "gradient")
    generator = np.random.default_rng(0)
    table = generator.uniform(20, 80, (2, 2, 2, 2, 2)).round(3)  # a dataset first
    frame = rows_of(design(factors, lambda *at: table[at]))
    signs = np.array(list(product((-1, 1), repeat=4)))
    means = table.mean(axis=0).ravel()
    subsets = [on for on in product((0, 1), repeat=4) if 0 < sum(on) <= 2]
    columns = np.array([signs[:, np.flatnonzero(on)].prod(axis=1) for on in subsets])
    # Terms are orthogonal, so those that are left out do not change the others.
    solved, (left,), *_ = np.linalg.lstsq(columns.T, means - means.mean(), rcond=None)
    average, total = frame[frame.task == "average"], ((means - means.mean()) ** 2).sum()
    for on, coefficient in zip(subsets, solved):
        names = [factor for factor, one in zip(factors, on) if one]
        rows = average[average.factor == names[0]]
        found = rows[rows.other.isna()] if len(names) == 1 else rows[rows.other == names[1]]
        assert found.measured.item() == pytest.approx(2 * coefficient)
        assert found.share.item() == pytest.approx(100 * 16 * coefficient**2 / total)
    higher = row_of(average, kind="higher interactions")
    assert higher.share == pytest.approx(100 * left / total)
    assert average.share.sum() == pytest.approx(100)


def test_the_rate_of_a_cell_is_chosen_on_validation_for_each_dataset():
    made = [run(50, 40), run(90, 30, lr=1)]
    made += [run(60, 20, init="zeros"), run(70, 45, lr=1, init="zeros")]
    frame = rows_of(made)
    cells = frame[(frame.kind == "cell") & (frame.task == "eurosat")]
    assert list(cells.measured) == [50, 70] and list(cells.lr) == [10, 1]
    assert list(cells.validation) == [40, 45]
    assert row_of(frame, task="eurosat", kind="main effect").measured == 20


def test_the_smaller_of_two_equal_rates_counts_and_only_shared_seeds_decide():
    made = [run(50, 40), run(90, 40, lr=1), run(60, 40, init="zeros")]
    made += [run(70, 30, lr=1, init="zeros"), run(10, 10, init="zeros", seed=1)]
    frame = rows_of(made)
    cells = frame[(frame.kind == "cell") & (frame.task == "eurosat")]
    assert list(cells.measured) == [90, 35] and list(cells.seeds) == [1, 2]


def test_the_official_recipe_and_the_cell_nearest_to_evp_are_named():
    frame = rows_of(square(TASKS))
    named = frame[(frame.task == "average") & frame.recipe.notna()].set_index("recipe")
    assert named.measured.to_dict() == {"official": 41, "nearest to EVP": 63}
    assert "init zeros" in named.levels["nearest to EVP"]
    assert "gradient unit" in named.levels["nearest to EVP"]
    moved = rows_of(square(momentum=0))
    assert set(moved.recipe.dropna()) == {"nearest to official", "nearest to EVP"}
    said = drawn(square(TASKS))
    assert "official 41.0 %, nearest to EVP 63.0 %" in said


def test_a_factor_with_one_level_is_left_out_and_said_so():
    found = factorial.factorial(square(momentum=0))
    assert found.varied == ["init", "gradient"]
    missing = recipe_factorial.gaps_of(found)
    assert "momentum other than 0" in missing and "prompt space other than normalized" in missing
    frame = factorial.effects(found)
    assert row_of(frame, task="average", factor="momentum").kind == "left out"
    assert "Not run: prompt space other than normalized" in drawn(square())


def test_a_missing_cell_is_one_line_that_names_it():
    made = square(TASKS)
    with pytest.raises(RecordError, match="1 of 8 cells .* init zeros, .*gradient unit was not "
                                          "run on dtd with lr 10") as error:  # fmt: skip
        factorial.factorial(made[:-1])
    assert "\n" not in str(error.value)


def test_a_missing_rate_is_a_missing_cell_but_gradients_may_have_rates_of_their_own():
    unit = [{**one, "spec": one["spec"] | {"settings": one["spec"]["settings"] | {"lr": 4}}}
            for one in square() if one["spec"]["settings"]["gradient"] == "unit"]  # fmt: skip
    made = [*square(), *unit]
    assert len(rows_of(made))
    with pytest.raises(RecordError, match="gradient unit was not run on eurosat with lr 4"):
        factorial.factorial(made[:-1])


def test_levels_that_are_no_choice_between_the_two_recipes_are_refused():
    three = [run(1, augmentation=level) for level in ("none", "flip", "flip_crop")]
    with pytest.raises(RecordError, match="augmentation has the levels none, flip, flip_crop"):
        factorial.factorial(three)
    with pytest.raises(RecordError, match="momentum has the levels 0.5, 0.9; expected two"):
        factorial.factorial([run(1), run(1, momentum=0.5)])


def test_runs_that_differ_in_anything_else_are_refused():
    with pytest.raises(RecordError, match="differ in settings.epochs too"):
        factorial.factorial([run(1), run(2, init="zeros", epochs=9)])


def test_a_dataset_without_validation_is_refused():
    made = [run(1), run(2, init="zeros")]
    made[0]["selection"]["best_validation"]["validation"] = None
    with pytest.raises(RecordError, match="chosen on validation.* has no validation split"):
        factorial.factorial(made)


def test_steps_of_a_warm_up_count_before_its_share():
    made = [run(40, warm_up_steps=1000), run(41, warm_up_steps=0)]
    assert factorial.factorial(made).levels["warm_up"] == [1000, 0]


def test_the_figure_shows_the_largest_effect_first_and_the_strongest_interaction():
    factors = ("init", "warm_up", "gradient")
    made = design(factors, lambda task, a, b, c: 40 + a + 3 * b + 9 * c + 4 * b * c + task)
    said = drawn(made)
    assert said.index("Gradient:") < said.index("Warm-up:") < said.index("Start:")
    assert "Warm-up \N{MULTIPLICATION SIGN} gradient" in said
    assert "Gradient: unit" in said and "EuroSAT twin" in said and "Lab scale" in said
    one = drawn(design(("init",), lambda task, on: 50 + on))
    assert "One factor alone has no interaction." in one


def test_accuracies_that_are_all_alike_have_no_shares():
    frame = rows_of(design(("init", "gradient"), lambda *on: 50.0))
    assert frame.share.isna().all() and set(frame[frame.kind == "main effect"].measured) == {0}
    drawn(design(("init", "gradient"), lambda *on: 50.0))


def test_nothing_varied_is_said_in_the_figure():
    assert "Not run: prompt space other than" in drawn([run(50)])


@pytest.mark.parametrize("some", [True, False])
def test_recipe_factorial_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = square(TASKS) if some else []
    assert bool(len(check_products(recipe_factorial, made, tmp_path))) == some
    assert capsys.readouterr().err.startswith("warning: not run: ")
