"""All methods on all datasets: accuracies, costs, gains and ranks one can compute by hand."""

import math

import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells, method_accuracies, published, ranking
from analysis.figures import methods
from tests.helpers.analyses import LAB, NOWHERE
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_entrants import PLAIN, PUBLISHED, everywhere, run
from tests.helpers.intervals import with_seeds
from vpbench.common.errors import RecordError
from vpbench.spec.methods import METHODS

DEFAULTS = len(METHODS)


def row(made, method, task, variant="default", backbone="clip_micro"):
    """Returns the row of a method and dataset."""
    frame = method_accuracies.accuracies(made)
    return row_of(frame, backbone=backbone, method=method, variant=variant, task=task)


def test_an_accuracy_has_the_interval_of_its_test_images_and_of_its_seeds():
    made = [run("evp", 60.0), *(run("vpt", 50.0 + seed, seed=seed) for seed in (0, 1, 2))]
    alone = row(made, "evp", "svhn")
    assert (alone.measured, alone.seeds) == (60, 1)
    assert (alone.low, alone.high) == pytest.approx(cells.wilson(60.0, 1000))
    many = row(made, "vpt", "svhn")
    assert (many.measured, many.spread, many.seeds) == (51, 1, 3)
    assert (many.low, many.high) == pytest.approx(with_seeds([50.0, 51.0, 52.0]))


def test_averages_are_over_the_datasets_without_shift_those_with_and_all():
    made = everywhere("evp", 40.0)
    by_task = {
        one["task"]["published"]: one["selection"]["last"]["test"]["accuracy"] for one in made
    }
    plain = [by_task[task] for task in cells.tasks_of(shift=False)]
    shifted = [by_task[task] for task in cells.tasks_of(shift=True)]
    assert row(made, "evp", "average").measured == pytest.approx(sum(plain) / 12)
    assert row(made, "evp", "shift_average").measured == pytest.approx(sum(shifted) / 3)
    assert row(made, "evp", "every").measured == pytest.approx(47)  # of 40 to 54


def test_an_average_is_empty_unless_all_of_its_datasets_were_run():
    made = everywhere("evp", 40.0, tasks=PLAIN)
    assert row(made, "evp", "average").measured == 45.5
    for name in ("shift_average", "every"):
        empty = row(made, "evp", name)
        assert math.isnan(empty.measured) and math.isnan(empty.seconds) and empty.seeds == 0


def test_costs_are_medians_over_seeds_and_then_over_datasets():
    made = [run("upt", 50.0, task, seconds=10.0, parameters=7) for task in PLAIN[2:]]
    made += [run("upt", 50.0, PLAIN[0], seconds=seconds, seed=seed, parameters=9, memory=400.0)
             for seed, seconds in enumerate((1.0, 2.0, 9.0))]  # fmt: skip
    made.append(run("upt", 50.0, PLAIN[1], seconds=30.0, parameters=9))
    one = row(made, "upt", "cifar100")
    assert (one.seconds, one.trained_parameters, one.peak_memory_mb) == (2, 9, 400)
    mean = row(made, "upt", "average")
    assert (mean.seconds, mean.trained_parameters, mean.device) == (10, 7, "cpu")


def test_images_are_those_of_the_training_and_unknown_without_a_speed():
    assert row([run("evp", 50.0, images=4000, seconds=3.0)], "evp", "svhn").images == 4000
    assert math.isnan(row([run("evp", 50.0, images=None)], "evp", "svhn").images)


def test_passes_are_those_of_the_recipe_and_of_all_prompts_of_an_ensemble():
    # 500 images there and back in 2 epochs, and one look at 300 and 1,000
    made = [
        run("visual_prompt", 50.0),
        run("visual_prompt", 50.0, variant="three", ensemble_size=3),
    ]
    assert row(made, "visual_prompt", "svhn").passes == 2 * 2 * 500 + 1300
    assert row(made, "visual_prompt", "svhn", "three").passes == 3 * 3300
    assert row([run("linear_probe", 50.0)], "linear_probe", "svhn").passes == 1800


def test_what_trains_nothing_only_looks_whatever_its_recipe_says():
    made = run("visual_prompt", 50.0, variant="text", parameters=0, ensemble_size=3)
    made["spec"]["settings"] |= {"template": "none", "label_map": "ensemble"}
    # The held-out splits; the training images only for a map that is counted on them
    assert row([made], "visual_prompt", "svhn", "text").passes == 3 * (300 + 1000)
    made["spec"]["settings"]["label_map"] = "learned_classifier"  # which is trained
    trained = 3 * (2 * 2 * 500 + 300 + 1000)
    assert row([made], "visual_prompt", "svhn", "text").passes == trained


def test_a_gain_is_over_the_visual_prompt_of_the_same_backbone_and_dataset():
    made = [run("visual_prompt", 40.0), run("evp", 50.0), run("visual_prompt", 45.0, variant="w")]
    made += [run(name, 70.0, backbone="rn50_micro") for name in ("visual_prompt", "evp")]
    found = row(made, "evp", "svhn")
    ours, theirs = cells.wilson(50.0, 1000), cells.wilson(40.0, 1000)
    low = 10 - math.hypot(50 - ours[0], theirs[1] - 40)
    high = 10 + math.hypot(ours[1] - 50, 40 - theirs[0])
    assert (found.gain, found.gain_low, found.gain_high) == pytest.approx((10, low, high))
    assert row(made, "visual_prompt", "svhn", "w").gain == 5
    assert row(made, "evp", "svhn", backbone="rn50_micro").gain == 0
    assert math.isnan(row(made, "visual_prompt", "svhn").gain)
    assert math.isnan(row([run("evp", 50.0)], "evp", "svhn").gain)


def test_ranks_are_among_the_methods_that_have_all_datasets():
    made = everywhere("evp", 60.0) + everywhere("visual_prompt", 50.0)
    made += everywhere("visual_prompt", 55.0, variant="wide") + everywhere("upt", 80.0, PLAIN[:3])
    frame = method_accuracies.accuracies(made)
    every = frame[(frame.task == "every") & frame.mean_rank.notna()]
    ranks = dict(zip(zip(every.method, every.variant), every.mean_rank))
    assert ranks == {
        ("evp", "default"): 1, ("visual_prompt", "wide"): 2, ("visual_prompt", "default"): 3
    }  # fmt: skip
    assert set(every.ranked) == {3}
    assert list(every.critical_difference) == [ranking.critical_difference(3, 15)] * 3
    # Three methods always in this order: Friedman's statistic is 2 x 15
    assert set(every.friedman_p) == {f"{math.exp(-15):.2g}"}
    shifted = frame[(frame.task == "shift_average") & frame.mean_rank.notna()]
    assert set(shifted.critical_difference) == {ranking.critical_difference(3, 3)}
    assert frame[~frame.task.isin(methods.AVERAGES)].mean_rank.isna().all()


def test_backbones_are_ranked_apart():
    made = everywhere("evp", 60.0) + everywhere("visual_prompt", 50.0)
    made += everywhere("visual_prompt", 50.0, backbone="rn50_micro")
    assert row(made, "visual_prompt", "every").mean_rank == 2
    assert math.isnan(row(made, "visual_prompt", "every", backbone="rn50_micro").mean_rank)


def test_a_method_that_was_not_run_has_empty_rows_if_the_backbone_could_do_it():
    made = [run("evp", 60.0), run("evp", 50.0, backbone="rn50_micro")]
    frame = method_accuracies.accuracies(made)
    of_clip, of_vision = (frame[frame.backbone == name] for name in ("clip_micro", "rn50_micro"))
    assert set(of_clip.method) == set(METHODS) and len(of_clip) == DEFAULTS * 18 + 1
    assert "upt" not in set(of_vision.method) and "fine_tune" in set(of_vision.method)
    upt = of_clip[of_clip.method == "upt"]
    assert upt.measured.isna().all() and not upt.seeds.any()


def test_toy_datasets_do_not_count():
    assert method_accuracies.accuracies([run("evp", 60.0, "cats_dogs_twin")]).empty


def test_two_kinds_of_a_run_are_refused():
    short = run("evp", 50.0, seed=1)
    short["spec"]["settings"] = {"epochs": 1}
    with pytest.raises(RecordError, match="two kinds of records for clip_micro evp default svhn"):
        method_accuracies.accuracies([run("evp", 60.0), short])


# Published numbers


def test_published_numbers_have_columns_of_their_own_with_source_and_protocol():
    made = everywhere("evp", 40.0) + everywhere("linear_probe", 40.0)
    evp = row(made, "evp", "average")
    assert (evp.measured, evp.published, evp.published_gain) == (45.5, 82.5, 5.2)
    assert evp.published_shots == "all" and "abstract" in evp.published_source
    probe = row(made, "linear_probe", "shift_average")
    assert (probe.published, probe.published_gain) == (62.6, 4.5)  # 62.6 - 58.1
    assert probe.published_source == "Bahng et al. (2022), Table 2"
    assert probe.published_backbone == "ViT-B/32"
    assert math.isnan(row(made, "linear_probe", "every").published)


def test_beside_datasets_of_ones_own_stands_no_published_number():
    made = everywhere("evp", 40.0)
    for one in made:
        one["spec"] |= {"scale": "desk", "kind": "real"}
    frame = method_accuracies.accuracies(made)
    assert frame.published.isna().all() and frame.measured.notna().any()


def test_every_published_number_says_backbone_shots_protocol_and_source():
    frame = published.methods()
    said = frame[["backbone", "shots", "protocol", "source"]]
    assert said.notna().all().all() and (said != "").all().all()
    assert set(frame.method) <= set(METHODS)
    assert set(frame.task) <= {*cells.tasks_of(False), *cells.tasks_of(True), *methods.AVERAGES}
    assert not frame.duplicated(["role", "method", "variant", "task"]).any()
    assert len(frame) == 4 * 13 + 9 * 13 + 4 * 4 + 9 * 4 + len(
        pandas.read_csv(published.FOLDER / "methods.csv")
    )


# The figure


def test_what_was_not_run_is_named_once_for_methods_that_lack_the_same():
    made = everywhere("evp", 60.0) + everywhere("upt", 60.0, PUBLISHED[1:])
    for method in set(METHODS) - {"evp", "upt", "coop", "vpt"}:
        made += everywhere(method, 50.0)
    said = methods.gaps_of(method_accuracies.accuracies(made))
    assert said == ["CLIP CoOp, VPT on any dataset", "CLIP UPT on cifar100"]
    half = methods.gaps_of(method_accuracies.accuracies(everywhere("evp", 60.0, PUBLISHED[:5])))
    assert "CLIP EVP on 10 of 15 datasets" in half
    assert methods.gaps_of(method_accuracies.accuracies([])) == ["any method"]


def test_the_figure_names_methods_ranks_and_what_is_missing():
    made = everywhere("evp", 60.0) + everywhere("visual_prompt", 50.0)
    made += everywhere("vpt", 55.0, variant="shallow")
    frame = method_accuracies.accuracies(made)
    text = figure_text(methods.draw(frame, LAB, methods.gaps_of(frame)))
    difference = ranking.critical_difference(3, 15)
    for words in ("EVP 1.0", "VPT, shallow 2.0", "VP 3.0", f"CD {difference:.1f}", "Lab scale",
                  "Friedman's p = 3.1e-07", "Not run: CLIP TP, AR, LP"):  # fmt: skip
        assert words in text
    pyplot.close("all")


def test_a_variant_that_learns_nothing_is_shown_as_such():
    made = [run("visual_prompt", 50.0), run("visual_prompt", 50.0, variant="text", parameters=0)]
    kinds = [
        methods.kind_of(row(made, "visual_prompt", "svhn", name)) for name in ("default", "text")
    ]
    assert kinds == ["pixels", "nothing"]


def test_a_method_that_ran_on_three_of_15_datasets_is_in_the_figure_on_those():
    made = everywhere("visual_prompt", 50.0) + everywhere("upt", 70.0, PLAIN[:3])
    found = row(made, "upt", "those_run")  # 70, 71, 72 where the visual prompt has 50, 51, 52
    assert (found.measured, found.gain) == pytest.approx((71, 20))
    assert math.isnan(row(made, "upt", "average").measured)
    frame = method_accuracies.accuracies(made)
    assert not ((frame.method == "visual_prompt") & (frame.task == "those_run")).any()
    figure = methods.draw(frame, LAB, methods.gaps_of(frame))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["VP", "UPT, 3 of 15 datasets"]
    places = {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert places["s"] == [[pytest.approx(71), pytest.approx(0.86)]]
    assert places["|"] == [[pytest.approx(51), 1]]
    pyplot.close("all")


def test_without_ranks_the_figure_says_so():
    frame = method_accuracies.accuracies(everywhere("evp", 60.0))
    text = figure_text(methods.draw(frame, LAB, []))
    assert "No ranks: they need two methods with all datasets" in text
    pyplot.close("all")


@pytest.mark.parametrize("made", [[], [run("evp", 60.0)]])
def test_an_empty_figure_says_what_is_missing(made):
    frame = method_accuracies.accuracies(made)
    text = figure_text(methods.draw(frame, NOWHERE, methods.gaps_of(frame)))
    assert "Not run:" in text
    pyplot.close("all")


def test_the_script_writes_the_csv_and_the_figure(tmp_path):
    made = everywhere("evp", 60.0) + everywhere("visual_prompt", 50.0, backbone="rn50_micro")
    frame = check_products(methods, made, tmp_path)
    vision = sum("vision" in entry.modalities for entry in METHODS.values())
    assert len(frame) == 18 * (DEFAULTS + vision)
    assert check_products(methods, [], tmp_path / "empty").empty
    pyplot.close("all")
