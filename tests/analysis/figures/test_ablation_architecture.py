"""Figure 9 on made-up records."""

import math
from itertools import pairwise

import pytest
from matplotlib import pyplot

from analysis.figures import ablation_architecture
from tests.helpers.analyses import LAB, PAPER
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_records import record
from vpbench.common.intervals import wilson
from vpbench.common.strict_yaml import read_config
from vpbench.spec.backbones import BACKBONES

MODELS = ("clip_micro", "instagram_micro", "bit_m_micro", "rn50_micro")


def architecture_runs():
    """Returns runs of two backbones; one was not fine-tuned."""
    cells = [("rn50_micro", "visual_prompt", 10.0), ("rn50_micro", "linear_probe", 60.0)]
    cells += [("clip_micro", method, 70.0) for method in ablation_architecture.SHOWN]
    cells += [("clip_micro", "text_prompt", 50.0)]
    return [record("cifar100_twin", *cell) for cell in cells]


def test_figure_9_orders_architectures_by_model_and_counts_them():
    frame = ablation_architecture.accuracies(architecture_runs())
    assert list(frame.backbone) == ["clip_micro"] * 3 + ["rn50_micro"] * 2
    assert row_of(frame, backbone="rn50_micro", method="visual_prompt").measured == 10.0
    missing = ablation_architecture.gaps_of(frame)
    assert missing == ["FT of rn50_micro"]
    said = figure_text(ablation_architecture.draw(frame, LAB, "cifar100", missing))
    assert "2 architectures on CIFAR100 twin" in said and "Not run: FT of rn50_micro." in said
    assert "Lab scale" in said
    pyplot.close("all")


def test_a_model_with_one_seed_borrows_the_variance_of_the_others_with_its_method():
    made = [
        record("cifar100_twin", "clip_micro", "visual_prompt", 50.0 + seed, seed)
        for seed in (0, 1, 2)
    ]
    made += [record("cifar100_twin", name, "visual_prompt", 50.0) for name in MODELS[1:]]
    frame = ablation_architecture.accuracies(made)
    half = wilson(50.0, 1000)[1] - 50
    for name, seeds, source in zip(MODELS, (3, 1, 1, 1), ("own", *["pooled"] * 3), strict=True):
        row = row_of(frame, backbone=name)
        # The variance of 50, 51, 52 is 1, with two degrees of freedom
        wide = math.hypot(half, 4.302653 / math.sqrt(seeds))
        assert row.high - row.measured == pytest.approx(wide, abs=0.01)
        assert (row.seeds, row.seed_variance) == (seeds, source)


def test_one_model_of_each_kind_has_no_panel_about_sizes_and_chance_is_marked():
    frame = ablation_architecture.accuracies(architecture_runs())
    figure = ablation_architecture.draw(frame, LAB, "cifar100", [])
    assert len(figure.axes) == 1 and "nothing is said about sizes" in figure_text(figure)
    [line] = [line for line in figure.axes[0].lines if line.get_label() == "Chance"]
    assert list(line.get_xdata()) == [10, 10] and set(frame.chance) == {10}
    pyplot.close("all")


def test_vits_and_resnets_of_clip_are_told_apart():
    made = [record("cifar100_twin", "clip_micro", "visual_prompt", 70.0) for _ in range(2)]
    made[1]["spec"]["backbone"] = "another"
    made[1]["backbone"] |= {"architecture": "ResNet-50", "parameters": 38_000_000}
    frame = ablation_architecture.accuracies(made)
    said = figure_text(ablation_architecture.draw(frame, PAPER, "cifar100", []))
    assert "CLIP ViT" in said and "CLIP ResNet" in said and "38 M" in said
    pyplot.close("all")


def all_of_the_paper(accuracy):
    """Returns the runs of Figure 9, all 14 architectures, with one accuracy."""
    config = read_config("config/paper.yaml")
    names = [name for name in config["backbones"] if name != "bit_m_r50x1_zero_head"]
    made = [
        record("cifar100", name, method, accuracy)
        for name in names
        for method in ablation_architecture.SHOWN
    ]
    for one in made:
        one["backbone"]["parameters"] = BACKBONES[one["spec"]["backbone"]].parameters
    return made


def boxes(axes):
    """Returns the boxes in pixels of what is written along the axes of a panel, by axis."""
    renderer = axes.figure.canvas.get_renderer()
    labels = axes.get_xticklabels(), axes.get_yticklabels()
    return [[one.get_window_extent(renderer) for one in each if one.get_text()] for each in labels]


@pytest.mark.parametrize("accuracy", [0.0, 100.0, 55.5])
def test_the_14_architectures_of_the_paper_go_by_their_names_and_none_covers_another(accuracy):
    frame = ablation_architecture.accuracies(all_of_the_paper(accuracy))
    assert frame.backbone.nunique() == 14
    figure = ablation_architecture.draw(frame, PAPER, "cifar100", [])
    figure.canvas.draw()
    said = figure_text(figure)
    assert "rn18, 12 M ResNet-18" in said and "RN50, 26 M ResNet-50" in said
    assert "RN50, 12 M" not in said
    for axes in figure.axes:
        for along, labels in enumerate(boxes(axes)):
            assert len(labels) > 2
            for first, second in pairwise(sorted(labels, key=lambda box: box.min[along])):
                assert first.max[along] <= second.min[along] + 1
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_ablation_architecture_is_a_csv_and_a_figure_with_or_without_records(
    tmp_path, capsys, some
):
    made = architecture_runs() if some else []
    assert bool(len(check_products(ablation_architecture, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")
