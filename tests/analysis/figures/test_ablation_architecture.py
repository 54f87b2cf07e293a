"""Figure 9 on made-up records."""

import pytest
from matplotlib import pyplot

from analysis.figures import ablation_architecture
from tests.helpers.analyses import LAB, PAPER
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_records import record


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


def test_vits_and_resnets_of_clip_are_told_apart():
    made = [record("cifar100_twin", "clip_micro", "visual_prompt", 70.0) for _ in range(2)]
    made[1]["spec"]["backbone"] = "another"
    made[1]["backbone"] |= {"architecture": "ResNet-50", "parameters": 38_000_000}
    frame = ablation_architecture.accuracies(made)
    said = figure_text(ablation_architecture.draw(frame, PAPER, "cifar100", []))
    assert "CLIP ViT" in said and "CLIP ResNet" in said and "38 M" in said
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_ablation_architecture_is_a_csv_and_a_figure_with_or_without_records(
    tmp_path, capsys, some
):
    made = architecture_runs() if some else []
    assert bool(len(check_products(ablation_architecture, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")
