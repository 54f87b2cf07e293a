"""Steps to the official accuracy, from records that no run made; the optimisers of a prompt."""

import math
from types import SimpleNamespace

import pandas
import pytest
import torch

from analysis.common.scales import Scale
from analysis.figures import speedrun
from tests.helpers.analyses import NOWHERE
from tests.helpers.checkout import ROOT, read_config
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_records import record
from tests.helpers.tiny import PADDING
from vpbench.common.errors import RecordError
from vpbench.methods import visual_prompt
from vpbench.prompts.build import build_prompt
from vpbench.spec.grid import expand
from vpbench.spec.methods import merge_settings
from vpbench.spec.recipes import read_configs

SETTINGS = {"init": "normal", "gradient": "plain", "lr": 10, "batch_size": 100, "eval_epochs": 1}
TASK = "svhn_twin"


def run(validation, epochs, seed=0, task=TASK, backbone="clip_micro", test=None, **changes):
    """Returns a run of `epochs` epochs of 500 images with this accuracy after the last."""
    name = "_".join(f"{key}_{value}" for key, value in changes.items())
    made = record(
        task, backbone, "visual_prompt", validation, seed=seed, variant=f"e{epochs}_{name}".lower()
    )
    made["spec"] |= {"settings": SETTINGS | {"epochs": epochs} | changes}
    measured = made["selection"]["last"]["validation"]
    accuracy = validation if test is None else test
    made["selection"]["last"] |= {"test": measured | {"accuracy": accuracy}}
    return made | {"file": f"{task}_{name}_{epochs}_{seed}.json"}


def official(*accuracies, **changes):
    """Returns a run of the official recipe with these validation accuracies after each epoch."""
    made = run(accuracies[-1], len(accuracies), **changes)
    made["spec"]["variant"] = "default"
    made["history"] = [
        {"epoch": epoch, "validation_accuracy": value}
        for epoch, value in enumerate(accuracies, start=1)
    ]
    return made


def zeros(validation, epochs, seed=0, **changes):
    """Returns a run of another recipe."""
    return run(validation, epochs, seed, init="zeros", **changes)


def test_the_speed_up_is_that_of_the_shortest_training_that_reaches_the_target():
    # The official recipe has its 60 % after 6 of 8 epochs already.
    runs = [official(10, 20, 30, 40, 50, 60, 55, 60)]
    runs += [zeros(59.9, 1), zeros(60, 2, test=58), zeros(70, 4)]
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.outcome, row.epochs, row.steps, row["images"]) == ("reached", 2, 10, 1000)
    assert row.speedup == 3  # 3,000 images by 1,000
    assert (row.target, row.validation, row.official_test, row.test) == (60, 60, 60, 58)
    own = row_of(speedrun.speedruns(runs), recipe="official", task=TASK)
    assert (own.epochs, own.steps, own["images"], own.speedup) == (6, 30, 3000, 1)


def test_a_larger_batch_takes_fewer_steps_but_no_fewer_images():
    runs = [official(30, 60), run(60, 2, batch_size=500)]
    row = row_of(speedrun.speedruns(runs), recipe="batch_size 500", task=TASK)
    assert (row.steps, row["images"], row.speedup) == (2, 1000, 1)


def test_a_recipe_that_never_reaches_the_target_has_no_number():
    runs = [official(10, 60), zeros(40, 1), zeros(59, 2)]
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.outcome, row.seeds_reached, row.epochs) == ("not reached", 0, 2)
    assert all(math.isnan(row[key]) for key in ("steps", "images", "speedup", "low", "high"))
    assert (row.target, row.validation) == (60, 59)
    total = row_of(speedrun.speedruns(runs), recipe="init zeros", task="all")
    assert total.outcome == "0 of 1 reached" and math.isnan(total.speedup) and not total.best


def test_the_target_and_the_steps_are_those_of_the_mean_over_seeds_and_the_spread_that_of_each():
    runs = [official(20, 40, 60, 50, seed=0), official(20, 40, 50, 70, seed=1)]  # 60 after 4
    runs += [zeros(61, 1, 0), zeros(57, 1, 1), zeros(61, 2, 0), zeros(60, 2, 1)]
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.target, row.epochs, row.speedup) == (60, 2, 2)  # 59 after one epoch
    assert (row.low, row.high, row.seeds, row.seeds_reached) == (2, 4, 2, 2)


def test_equal_shares_of_the_images_are_equal_whatever_their_last_bits():
    # 120 and 128 of 300 are 124 on average, each as the float32 that torch makes of it
    runs = [official(20, 40.0, seed=0), official(20, 42.66666793823242, seed=1)]
    runs += [zeros(41.33333206176758, 1, seed) for seed in (0, 1)]
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.outcome, row.seeds_reached) == ("reached", 2)


def test_a_seed_that_does_not_reach_the_target_is_counted_and_has_no_part_in_the_spread():
    runs = [official(20, 60, seed=0), official(20, 60, seed=1)]
    runs += [zeros(65, 1, 0), zeros(58, 1, 1)]  # 61.5 on average
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.outcome, row.speedup, row.seeds, row.seeds_reached) == ("reached", 2, 2, 1)
    assert (row.low, row.high) == (2, 2)


def test_the_rate_is_chosen_over_all_tasks_of_a_backbone_and_not_for_each():
    runs = [official(20, 60), official(20, 60, task="dtd_twin")]
    runs += [zeros(60, 1, lr=1), zeros(40, 1, lr=1, task="dtd_twin")]
    runs += [zeros(50, 1, lr=5), zeros(58, 1, lr=5, task="dtd_twin")]
    frame = speedrun.speedruns(runs)
    for task in (TASK, "dtd_twin"):
        row = row_of(frame, recipe="init zeros", task=task)
        assert (row.lr, row.outcome) == (5, "not reached")


def test_the_rate_is_chosen_on_the_seeds_that_all_rates_have():
    runs = [official(20, 60, seed=seed) for seed in (0, 1)]
    runs += [zeros(70, 1, 0, lr=1), zeros(10, 1, 1, lr=1), zeros(60, 1, 0, lr=5)]
    row = row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK)
    assert (row.lr, row.seeds, row.validation) == (1, 2, 40)
    with pytest.raises(RecordError, match="the rates 1, 5 have no task and seed in common"):
        speedrun.speedruns([*runs[:2], zeros(70, 1, 0, lr=1), zeros(70, 1, 1, lr=5)])


def test_of_equally_good_rates_the_smallest_is_taken():
    runs = [official(20, 60), zeros(60, 1, lr=5), zeros(60 + 1e-12, 1, lr=7), zeros(60, 1, lr=3)]
    assert row_of(speedrun.speedruns(runs), recipe="init zeros", task=TASK).lr == 3


def two_tasks(*speeds):
    """Returns runs of two tasks: epochs of `init zeros`, then of `gradient unit`, on each."""
    runs = []
    for task, pair in zip((TASK, "dtd_twin"), speeds, strict=True):
        runs.append(official(*range(8), 60, task=task))  # after 9 epochs
        for epochs, changes in zip(pair, ({"init": "zeros"}, {"gradient": "unit"}), strict=True):
            accuracy = 60 if epochs else 30
            runs.append(run(accuracy, epochs or 8, task=task, **changes))
    return runs


def test_the_mean_over_tasks_is_geometric_and_the_largest_is_best():
    frame = speedrun.speedruns(two_tasks((1, 3), (9, 3)))  # 9 and 1; 3 and 3
    total = row_of(frame, recipe="init zeros", task="all")
    assert (total.speedup, total.low, total.high) == (pytest.approx(3), 1, 9)
    frame = speedrun.speedruns(two_tasks((1, 3), (9, 2)))  # 3; the root of 13.5
    assert set(frame[frame.best].recipe) == {"gradient unit"}


def test_a_recipe_that_reaches_more_targets_is_better_than_a_faster_one():
    frame = speedrun.speedruns(two_tasks((1, 8), (None, 8)))
    total = row_of(frame, recipe="init zeros", task="all")
    assert (total.outcome, total.speedup) == ("1 of 2 reached", pytest.approx(9))
    assert set(frame[frame.best].recipe) == {"gradient unit"}


def test_a_recipe_that_changes_nothing_is_the_official_one_made_shorter():
    runs = [official(20, 30, 60), run(60, 2, lr=20)]
    row = row_of(speedrun.speedruns(runs), recipe="official, shorter", task=TASK)
    assert (row.lr, row.speedup, row.best) == (20, 1.5, True)


def test_the_settings_of_old_records_are_another_recipe():
    runs = [official(20, 60), zeros(60, 1)]
    del runs[1]["spec"]["settings"]["gradient"]
    assert "gradient None, init zeros" in set(speedrun.speedruns(runs).recipe)


def test_a_task_without_validation_is_refused_by_its_file():
    broken = official(20, 60)
    broken["selection"]["last"]["validation"] = None
    with pytest.raises(RecordError, match=f"{broken['file']}: the task has no validation split"):
        speedrun.speedruns([broken])


def test_what_was_not_run_is_named():
    assert "the official recipe" in speedrun.gaps_of(speedrun.speedruns([]))[0]
    alone = speedrun.speedruns([official(20, 60), zeros(60, 1, task="dtd_twin")])
    assert speedrun.gaps_of(alone) == ["any other recipe"]
    runs = [official(20, 60), official(20, 60, task="dtd_twin"), zeros(60, 1)]
    lacking = ["init zeros on dtd_twin with clip_micro"]
    assert speedrun.gaps_of(speedrun.speedruns(runs)) == lacking
    total = row_of(speedrun.speedruns(runs), recipe="init zeros", task="all")
    assert total.outcome == "1 of 2 reached"


def test_the_figure_names_recipes_tasks_and_what_is_not_reached():
    runs = two_tasks((1, 3), (None, 3)) + [official(5, 20, 60, backbone="rn50_micro")]
    frame = speedrun.speedruns(runs)
    text = figure_text(speedrun.draw(frame, Scale("speedrun", "twins"), speedrun.gaps_of(frame)))
    for words in ("init zeros", "gradient unit (best)", "SVHN twin, CLIP", "DTD twin, CLIP"):
        assert words in text
    assert "not reached" in text and "Not run: init zeros on svhn_twin with rn50_micro" in text


def test_an_empty_figure_says_what_is_missing():
    frame = speedrun.speedruns([])
    text = figure_text(speedrun.draw(frame, NOWHERE, speedrun.gaps_of(frame)))
    assert "Not run: the official recipe" in text


def test_the_script_writes_the_csv_and_the_figure(tmp_path):
    frame = check_products(speedrun, two_tasks((1, 3), (9, None)), tmp_path)
    assert len(frame) == 3 * 3  # official, init zeros and gradient unit on two tasks and over all


# How a prompt is optimised


def mapless(prompt):
    """Returns what an optimiser is made for: a prompt, and a label map that learns nothing."""
    return SimpleNamespace(prompt=prompt, label_map=torch.nn.Identity())


def stepped(slope, steps=1, **changes):
    """Returns the values of a pixel of zeros after steps with always the same gradient."""
    prompt = build_prompt("fixed_patch", 4, 1, init="zeros")
    settings = {"optimiser": "sgd", "momentum": 0.5, "gradient": "plain", "lr": 2.0} | changes
    optimiser = visual_prompt.build_optimiser(mapless(prompt), settings)
    for _ in range(steps):
        prompt.patch.grad = torch.tensor(slope).view(1, 3, 1, 1)
        optimiser.step()
    return prompt.patch.detach().flatten().tolist()


def test_a_unit_gradient_is_divided_by_its_length():
    # The length of (3, 0, 4) is 5: a step of 2 against it is (-1.2, 0, -1.6).
    assert stepped([3.0, 0.0, 4.0], gradient="unit") == pytest.approx([-1.2, 0, -1.6])
    assert stepped([3e-9, 0.0, 4e-9], gradient="unit") == pytest.approx([-1.2, 0, -1.6])
    assert stepped([3.0, 0.0, 4.0]) == pytest.approx([-6, 0, -8])


def test_the_length_is_that_of_all_parts_of_a_prompt_together():
    prompt = build_prompt("padding", 6, 1, init="zeros")
    for part in prompt.parameters():
        part.grad = torch.ones_like(part)
    settings = {"optimiser": "sgd", "momentum": 0.0, "gradient": "unit", "lr": 1.0}
    visual_prompt.build_optimiser(mapless(prompt), settings).step()
    # 3 channels of a border of 20 pixels
    assert prompt.canvas()[0, :, 0].flatten().tolist() == pytest.approx([-1 / 60**0.5] * 18)


@pytest.mark.parametrize("gradient", ["unit", "unit_image"])
def test_every_prompt_of_an_ensemble_has_a_length_of_its_own(gradient):
    ensemble = build_prompt("fixed_patch", 1, 1, init="zeros", ensemble_size=2, gradient=gradient)
    for part, slope in zip(ensemble.parameters(), ([3.0, 0.0, 4.0], [0.0, 0.5, 0.0]), strict=True):
        part.grad = torch.tensor(slope).view(1, 3, 1, 1)
    settings = {"optimiser": "sgd", "momentum": 0.0, "gradient": gradient, "lr": 2.0}
    visual_prompt.build_optimiser(mapless(ensemble), settings).step()
    moved = [part.flatten().tolist() for part in ensemble.parameters()]
    assert moved == [pytest.approx([-1.2, 0, -1.6]), pytest.approx([0, -2, 0])]


def test_momentum_sums_unit_gradients_and_nesterov_looks_ahead():
    slope = [3.0, 0.0, 4.0]
    # Velocities 1 and 1.5 times the unit; Nesterov goes 1.5 and then 1 + 0.5 * 1.5 of it.
    assert stepped(slope, 2, gradient="unit") == pytest.approx([-3, 0, -4])
    found = stepped(slope, 2, gradient="unit", optimiser="nesterov")
    assert found == pytest.approx([-0.6 * 2 * 3.25, 0, -0.8 * 2 * 3.25])


def test_adam_takes_the_rate_itself_as_its_first_step_in_each_value():
    found = stepped([3.0, -1e-3, 4.0], optimiser="adam")
    assert found == pytest.approx([-2, 2, -2], rel=1e-4)


def test_a_gradient_of_zero_stays_zero():
    assert stepped([0.0, 0.0, 0.0], gradient="unit") == [0, 0, 0]


def test_a_scaled_loss_makes_no_difference_to_a_unit_gradient():
    prompt = build_prompt("fixed_patch", 4, 1, init="zeros")
    settings = {"optimiser": "sgd", "momentum": 0.0, "gradient": "unit", "lr": 5.0}
    optimiser = visual_prompt.build_optimiser(mapless(prompt), settings)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    weights = torch.tensor([3.0, 0.0, 4.0]).view(1, 3, 1, 1)
    scaler.scale((prompt.patch * weights).sum()).backward()
    scaler.step(optimiser)
    assert prompt.patch.flatten().tolist() == pytest.approx([-3, 0, -4])


@pytest.mark.parametrize(
    "changes",
    [
        {"gradient": "unit"},
        {"optimiser": "nesterov", "schedule": "linear"},
        {"optimiser": "adam", "schedule": "constant", "lr": 0.1},
    ],
)
def test_a_prompt_learns_with_every_optimiser(changes, clip, task):
    fit = visual_prompt.fit(clip, task, PADDING | {"init": "zeros"} | changes, 0)
    state = fit.selection["last"][1]
    assert all((value != 0).float().mean() > 0.99 for value in state.values())
    assert fit.history[1]["loss"] < fit.history[0]["loss"]


# The recipe that was chosen


def test_the_fast_recipe_is_the_best_of_the_study_that_is_shown():
    rows = pandas.read_csv(ROOT / "docs" / "data" / "lab" / "speedrun.csv")
    names = set(rows[rows.best].recipe)
    fast = read_config("lab")["variants"]["fast"]
    usual = merge_settings(read_config("lab")["recipes"], "visual_prompt", "clip_micro")
    assert names == {speedrun.recipe_of(usual | fast, usual)}
    chosen = rows[rows.best & (rows.backbone == "clip_micro") & (rows.outcome == "reached")]
    assert fast["epochs"] == chosen.epochs.max() and fast["lr"] in set(chosen.lr)
    tried = read_config("paper-fast")["grid"]["fast"]["settings"]
    assert tried.items() <= fast.items()


def test_the_study_starts_from_the_recipe_of_the_lab():
    lab, study = (read_config(name)["recipes"] for name in ("lab", "speedrun"))
    for backbone in read_config("speedrun")["backbones"]:
        one, other = (
            merge_settings(recipes, "visual_prompt", backbone) for recipes in (lab, study)
        )
        longer = {"epochs": other["epochs"] + (backbone == "rn50_micro")}
        assert one | {"eval_epochs": 1} == other | longer | {"eval_epochs": 1}
        assert other["eval_epochs"] == 1 and one["epochs"] == longer["epochs"]


def test_the_study_on_real_images_starts_from_the_recipe_of_the_desk():
    names = [ROOT / "config" / f"{name}.yaml" for name in ("desk", "desk/speedrun")]
    desk, study = (expand(*read_configs(files)) for files in (names[:1], names))
    assert {run["method"] for run in study.specs.values()} == {"visual_prompt"}
    official = [run for run in study.blocks["main"].values() if run["seed"] == 0]
    usual = {run["task"]: run for run in desk.specs.values() if is_prompt_of(run, official[0])}
    assert set(usual) == {run["task"] for run in official}
    for run in official:
        settings = usual[run["task"]]["settings"] | {"eval_epochs": 1}
        assert run == usual[run["task"]] | {"scale": "desk-speedrun", "settings": settings}


def is_prompt_of(run, other):
    """Returns whether a run is the default visual prompt on the backbone of another."""
    keys = ("backbone", "method", "variant", "seed")
    return [run[key] for key in keys] == [other[key] for key in keys]
