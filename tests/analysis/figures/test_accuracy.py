import numpy as np
import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells, style
from analysis.figures import accuracy, cost, dataset_properties, deployability
from analysis.tables import table_accuracy
from tests.helpers.analyses import DESK, LAB, run
from tests.helpers.fake_records import record, write_all
from tests.helpers.fake_sides import beside
from vpbench.common.errors import RecordError

METHODS = {"text_prompt": 20.0, "visual_prompt": 60.0, "linear_probe": 50.0, "fine_tune": 80.0}


def own(folder, task, backbone, method, percent, seed=0):
    """Returns a record of the user's own photographs, as loaded."""
    made = record("digits", backbone, method, percent, seed=seed, scale="desk", kind="real")
    made["spec"] |= {"task": task, "folder": {"path": f"somewhere/{task}"}}
    made["task"] |= {"published": None, "display": f"My {task}"}
    return beside(made, folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Returns records of two folders with two backbones: TP 20, VP 60, LP 50, FT 80."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        own(folder, task, backbone, method, percent)
        for task in ("zoo", "attic")
        for backbone in ("clip_micro", "rn50_micro")
        for method, percent in METHODS.items()
        if (backbone, method) != ("rn50_micro", "text_prompt")
    ]


def pick(frame, task, backbone, method):
    """Returns one row."""
    return frame.set_index(["task", "backbone", "method"]).loc[(task, backbone, method)]


def test_every_dataset_backbone_and_method_has_a_row_with_its_interval(photos):
    frame = accuracy.accuracies(photos)
    assert list(frame.columns) == list(accuracy.COLUMNS) and len(frame) == 14
    assert list(frame.task.unique()) == ["zoo", "attic"]  # as they come
    assert list(frame.method[:4]) == list(METHODS)
    row = pick(frame, "attic", "clip_micro", "linear_probe")
    assert (row.accuracy, row.images, row.seeds, row.chance) == (50, 1000, 1, 10)
    assert (row.low, row.high) == pytest.approx(cells.wilson(50.0, 1000))


def test_the_visual_prompt_is_compared_with_each_method_on_the_same_images(photos):
    frame = accuracy.accuracies(photos)
    row = pick(frame, "zoo", "rn50_micro", "fine_tune")
    assert row.difference == pytest.approx(-20)
    assert row.difference_low < -20 < row.difference_high < 0 and float(row.p_value) < 0.001
    assert pandas.isna(pick(frame, "zoo", "rn50_micro", "visual_prompt").difference)


def test_seeds_are_averaged_and_two_kinds_of_a_run_refused(tmp_path):
    made = [own(tmp_path, "zoo", "clip_micro", "visual_prompt", 40.0 + s, s) for s in (0, 2)]
    (row,) = accuracy.accuracies(made).itertuples()
    assert (row.accuracy, row.seeds, row.spread) == (41, 2, pytest.approx(2**0.5))
    made[1]["spec"]["data"] = made[1]["spec"]["data"] | {"train": 9}
    with pytest.raises(RecordError, match="two kinds of records for clip_micro visual_prompt zoo"):
        accuracy.accuracies(made)


def test_two_backbones_in_the_place_of_one_are_two_rows(tmp_path):
    made = [
        own(tmp_path, "zoo", name, "linear_probe", value)
        for name, value in (("efficientnet_lite0", 70.0), ("efficientnet_lite2", 80.0))
    ]
    assert accuracy.accuracies(made).accuracy.tolist() == [70, 80]


def test_the_table_has_a_column_per_dataset_and_marks_prompts_above_the_probe(photos, tmp_path):
    some = [one for one in photos if one["spec"]["task"] == "zoo" or "rn50" in str(one["spec"])]
    table_accuracy.write(some, tmp_path / "table.csv")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0].startswith("Desk scale") and "95 % interval" in lines[0]
    assert lines[2] == "| Backbone | Method | zoo | attic |"
    assert lines[4].startswith("| Chance | – | 10.0 | 10.0 |")
    low, high = cells.wilson(20.0, 1000)
    assert lines[5] == f"| clip_micro | TP | 20.0 [{low:.1f}, {high:.1f}] | – |"
    assert lines[6].startswith("| clip_micro | VP | **60.0 [") and "▲** | –" in lines[6]
    assert "\\cellcolor{green!20}60.0" in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize("count", [14, 1, 0])
def test_the_figure_is_made_whatever_was_run(photos, tmp_path, capsys, count):
    manifests = write_all(photos[:count], tmp_path / "runs")
    for one in photos[:count]:
        beside(one, tmp_path / "runs")
    out = tmp_path / "accuracy.csv"
    command = ["--runs", *map(str, manifests), "--out", str(out), "--figures", str(tmp_path)]
    assert run("accuracy", *command) == 0
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000
    assert len(pandas.read_csv(out)) == count
    assert ("warning: not run: anything" in capsys.readouterr().err) == (count == 0)


def test_the_figure_has_a_panel_per_backbone_and_names_the_datasets(photos):
    frame = accuracy.accuracies(photos)
    figure = accuracy.draw(frame, DESK, {"zoo": "My zoo", "attic": "My attic"}, [])
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["clip_micro", "rn50_micro"]
    labels = [text.get_text() for text in panels[0].get_yticklabels()]
    assert labels == ["My zoo", "My attic"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["TP", "VP", "LP", "FT", "Chance"]
    pyplot.close(figure)


def test_ones_own_datasets_count_where_there_are_no_others(photos):
    frame = cost.costs(photos)
    row = frame.set_index(["backbone", "method"]).loc[("clip_micro", "visual_prompt")]
    assert (row.accuracy, row.tasks) == (60, 2)
    assert cost.gaps_of(frame, DESK) == [] != cost.gaps_of(frame, LAB)
    assert deployability.lacking({("clip", None)}, DESK) == []
    properties = dataset_properties.properties(photos, [])
    assert list(properties.task) == ["zoo", "attic"]
    assert list(properties.gain) == [40, 40] and np.isnan(properties.published).all()


def test_a_toy_dataset_of_the_lab_is_in_no_table_of_the_paper(tmp_path):
    toy = record("cats_dogs_twin", "clip_micro", "visual_prompt", 90.0)
    assert not cells.dataset_of(toy)
    assert cells.dataset_of(record("svhn_twin", "clip_micro", "visual_prompt", 9.0)) == "svhn"
    assert cells.tasks_in([toy], shift=True) == ["iwildcam", "fmow", "camelyon17"]


def test_a_model_of_the_desk_goes_by_its_own_name():
    assert style.backbone_name("lite0_minilm") == "lite0_minilm"
    assert style.backbone_name("clip_micro") == style.backbone_name("clip_vit_b32") == "CLIP"
    assert style.backbone_name("rn50") == "RN50" and style.backbone_name("rn18") == "rn18"
