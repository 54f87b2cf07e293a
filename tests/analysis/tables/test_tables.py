import math
import shutil

import numpy as np
import pandas
import pytest

from analysis.common import cells, render
from analysis.common import published as published_module
from analysis.common.published import FOLDER
from analysis.tables import table6
from tests.helpers.analyses import run, write_table
from tests.helpers.fake_records import by_method, grid, record, write_all
from tests.helpers.fake_sides import beside
from vpbench.common.errors import RecordError
from vpbench.common.intervals import wilson
from vpbench.records.paths import record_path

MEASURED = ["measured", "spread", "low", "high", "seeds", "rule", "epoch", "selection_gap"]
KEY = ["role", "method", "task"]


def clip_table(records, shift=False):
    """Returns the cells of Table 1, or of Table 2 with `shift`; no published numbers beside."""
    return cells.table(records, {}, "vision_language", shift)


def pick(frame, method, task, role="clip"):
    """Returns one row of tidy cells."""
    return frame.set_index(KEY).loc[(role, method, task)]


def shaded(number, made, folder):
    """Returns the keys of the shaded cells of a table of the records `made`."""
    there = [one if "file" in one else beside(one, folder / "runs") for one in made]
    write_table(f"table{number}", there, folder / "table.csv")
    frame = pandas.read_csv(folder / "table.csv")
    return {tuple(key) for key in frame[frame.shaded][KEY].to_numpy()}


@pytest.fixture(scope="module")
def whole_grid(tmp_path_factory):
    """Returns records of everything in the paper: TP 20, VP 60, LP 50, FT 80."""
    folder = tmp_path_factory.mktemp("runs")
    return [beside(one, folder) for one in grid(by_method)]


def clip_runs(folder):
    """Returns the manifests of records of CLIP in a folder; those to compare have predictions."""
    made = [one for one in grid(by_method) if one["spec"]["backbone"] == "clip_micro"]
    for one in made:
        if one["spec"]["method"] in ("visual_prompt", "linear_probe"):
            beside(one, folder)
    return write_all(made, folder)


def test_an_average_is_the_mean_over_the_tasks_of_its_row():
    accuracies = {"iwildcam_twin": 40.0, "fmow_twin": 50.0, "camelyon17_twin": 90.0}
    made = [record(task, "clip_micro", "linear_probe", accuracies[task]) for task in accuracies]
    frame = clip_table(made, shift=True)
    assert pick(frame, "linear_probe", "average").measured == pytest.approx(60.0)
    assert math.isnan(pick(frame, "fine_tune", "average").measured)


def test_a_cell_over_seeds_has_their_mean_and_spread_and_an_interval_of_images_and_seeds():
    made = [
        record("svhn_twin", "clip_micro", "visual_prompt", value, seed=seed)
        for seed, value in enumerate((50.0, 52.0, 54.0))
    ]
    row = pick(clip_table(made), "visual_prompt", "svhn")
    assert (row.measured, row.spread, row.seeds) == (52.0, 2.0, 3)
    part = 4.302653 * 2 / math.sqrt(3)  # the 97.5 % quantile of t with 2 degrees of freedom
    low, high = wilson(52.0, 1000)
    halves = math.hypot(52 - low, part), math.hypot(high - 52, part)
    assert (row.low, row.high) == pytest.approx((52 - halves[0], 52 + halves[1]), abs=1e-4)
    assert row.seed_variance == "own"


def test_a_cell_of_one_seed_borrows_the_variance_of_its_arm_and_says_so():
    made = [
        record("dtd_twin", "clip_micro", "visual_prompt", value, seed=seed)
        for seed, value in enumerate((50.0, 52.0, 54.0))
    ]
    made += [record("svhn_twin", "clip_micro", "visual_prompt", 60.0)]
    made += [record("dtd_twin", "clip_micro", "fine_tune", 60.0)]
    frame = clip_table(made)
    row = pick(frame, "visual_prompt", "svhn")
    part = 4.302653 * 2  # of one seed; the variance of the other task has 2 degrees of freedom
    low, high = wilson(60.0, 1000)
    halves = math.hypot(60 - low, part), math.hypot(high - 60, part)
    assert (row.low, row.high) == pytest.approx((60 - halves[0], 60 + halves[1]), abs=1e-4)
    assert (row.seeds, row.seed_variance) == (1, "pooled")
    lone = pick(frame, "fine_tune", "dtd")
    assert (lone.low, lone.high, lone.seed_variance) == (*wilson(60.0, 1000), "none")


def test_a_cell_of_one_seed_has_the_wilson_interval_of_its_test_images():
    assert wilson(50.0, 1000) == pytest.approx((46.9070, 53.0930), abs=1e-3)
    low, high = wilson(0.0, 1000)  # closed form at zero: z^2 / (n + z^2)
    assert (low, high) == pytest.approx((0, 100 * 3.841459 / 1003.841459), abs=1e-4)
    made = [record("svhn_twin", "clip_micro", "linear_probe", 50.0)]
    row = pick(clip_table(made), "linear_probe", "svhn")
    assert (row.low, row.high) == wilson(50.0, 1000)
    assert math.isnan(row.spread)


def test_equal_seeds_have_the_interval_of_the_test_images_not_none():
    made = [record("svhn_twin", "clip_micro", "linear_probe", 50.0, seed=seed) for seed in (0, 1)]
    row = pick(clip_table(made), "linear_probe", "svhn")
    assert (row.low, row.high, row.spread) == (*wilson(50.0, 1000), 0.0)


def test_the_interval_of_an_average_combines_those_of_its_tasks():
    parts = [{"measured": 50.0, "low": 47.0, "high": 54.0}] * 4
    assert cells.combined(parts, [0.25] * 4) == (48.5, 52.0)  # a fourth of 2 x 3 and of 2 x 4
    ours, theirs = {"measured": 60, "low": 56, "high": 63}, {"measured": 20, "low": 16, "high": 23}
    assert cells.combined([ours, theirs], [1, -1]) == (35.0, 45.0)  # 3-4-5 triangles


def test_an_average_has_the_variance_that_is_pooled_over_its_tasks():
    made = [
        record(task, "clip_micro", "fine_tune", value, seed=seed)
        for seed, values in enumerate(((40.0, 50.0, 60.0), (50.0, 54.0, 58.0)))
        for task, value in zip(("iwildcam_twin", "fmow_twin", "camelyon17_twin"), values)
    ]  # the averages of the seeds are 50 and 54
    row = pick(clip_table(made, shift=True), "fine_tune", "average")
    assert (row.measured, row.seeds, row.spread) == (52.0, 2, pytest.approx(math.sqrt(8)))
    pooled = (50 + 8 + 2) / 3  # the variances of 40 and 50, of 50 and 54, of 60 and 58
    part = 3.182446 * math.sqrt(pooled / 2 / 3)  # 3 degrees of freedom, 2 seeds, 3 tasks
    images = 1.96 * 100 * math.sqrt((0.45 * 0.55 + 0.52 * 0.48 + 0.59 * 0.41) / 1000) / 3
    half = math.hypot(part, images)
    assert (row.low, row.high) == pytest.approx((52 - half, 52 + half), abs=0.02)
    assert row.seed_variance == "own"


@pytest.mark.parametrize(
    ("task", "method", "rule", "measured", "epoch", "gap"),
    [
        ("eurosat_twin", "visual_prompt", "best_validation", 60.0, 6, 5.0),
        ("eurosat_twin", "fine_tune", "best_validation", 60.0, 6, 5.0),
        ("svhn_twin", "visual_prompt", "last", 58.0, 8, 7.0),  # no validation split in Table 6
        ("eurosat_twin", "linear_probe", "last", 58.0, None, 7.0),
    ],
)
def test_the_epoch_is_chosen_as_the_paper_could_have(task, method, rule, measured, epoch, gap):
    made = [record(task, "clip_micro", method, 60.0, best=65.0, last=58.0)]
    row = pick(clip_table(made), method, made[0]["task"]["published"])
    assert (row["rule"], row.measured, row.selection_gap) == (rule, measured, pytest.approx(gap))
    assert math.isnan(row.epoch) if epoch is None else row.epoch == epoch


def test_changing_a_published_file_changes_no_measured_cell(whole_grid, tmp_path, monkeypatch):
    made = [one for one in whole_grid if one["spec"]["backbone"] == "clip_micro"]
    write_table("table1", made, tmp_path / "before.csv")
    shutil.copytree(FOLDER, tmp_path / "published")
    monkeypatch.setattr(published_module, "FOLDER", tmp_path / "published")
    numbers = published_module.table(1)
    numbers.assign(value=numbers.value + 1)[1:].to_csv(tmp_path / "published/table1.csv")
    write_table("table1", made, tmp_path / "after.csv")
    before, after = (pandas.read_csv(tmp_path / f"{name}.csv") for name in ("before", "after"))
    assert after.published[1:].equals(before.published[1:] + 1) and math.isnan(after.published[0])
    pandas.testing.assert_frame_equal(
        before.drop(columns="published"), after.drop(columns="published")
    )


def test_deleting_a_record_empties_its_cell_and_its_average_and_nothing_else(tmp_path):
    manifests = clip_runs(tmp_path / "runs")
    command = ["--runs", *map(str, manifests), "--out", str(tmp_path / "table1.csv")]
    assert run("table1", *command) == 0
    before = pandas.read_csv(tmp_path / "table1.csv")
    gone = record("svhn_twin", "clip_micro", "visual_prompt", 60.0)
    record_path(gone["spec"], tmp_path / "runs").unlink()
    assert run("table1", *command) == 0
    after = pandas.read_csv(tmp_path / "table1.csv")
    emptied = (before.method == "visual_prompt") & before.task.isin(["svhn", "average"])
    pandas.testing.assert_frame_equal(before[~emptied], after[~emptied])
    assert after[emptied].drop(columns=["seeds"])[MEASURED[:4]].isna().all(axis=None)
    assert list(after[emptied].seeds) == [0, 0]
    assert after[emptied].published.equals(before[emptied].published)
    assert "– (88.4)" in (tmp_path / "table1.md").read_text()


def sided(task, method, right, folder, backbone="clip_micro"):
    """Returns a record of 1000 test images of which those `right` are classified correctly."""
    images = np.zeros(1000, bool)
    images[right] = True
    return beside(record(task, backbone, method, 100 * images.mean()), folder / "runs", images)


def test_a_visual_prompt_is_shaded_where_the_interval_of_the_difference_is_above_0(tmp_path):
    made = [
        # 60 images are right with VP alone and 20 with LP alone: 4 points, and the standard error
        # of the difference is sqrt((0.08 - 0.04^2) / 1000) = 0.9 points.
        sided("svhn_twin", "visual_prompt", slice(0, 600), tmp_path),
        sided("svhn_twin", "linear_probe", slice(60, 620), tmp_path),
        # The same 4 points, but 280 and 240 images: the standard error is 2.3 points.
        sided("dtd_twin", "visual_prompt", slice(0, 600), tmp_path),
        sided("dtd_twin", "linear_probe", slice(280, 840), tmp_path),
        sided("clevr_twin", "visual_prompt", slice(0, 600), tmp_path),  # nothing to compare with
    ]
    write_table("table1", made, tmp_path / "table1.csv")
    frame = pandas.read_csv(tmp_path / "table1.csv")
    assert list(frame[frame.shaded].task) == ["svhn"]
    text, latex = ((tmp_path / f"table1.{suffix}").read_text() for suffix in ("md", "tex"))
    assert text.count("\N{BLACK UP-POINTING TRIANGLE}") == 2  # a cell and the legend
    assert "**60.0 \N{BLACK UP-POINTING TRIANGLE}** (88.4)" in text
    assert latex.count(r"\cellcolor{green!20}") == 1
    assert "the whole 95 % interval of the difference is above 0." in text


def test_table_5_shades_only_above_linear_probe_and_fine_tuning(tmp_path):
    methods = "visual_prompt", "linear_probe", "fine_tune"
    accuracies = {"fmow_twin": (60.0, 50.0, 70.0), "camelyon17_twin": (60.0, 50.0, 55.0)}
    made = [
        record(task, "bit_m_micro", method, value)
        for task, values in accuracies.items()
        for method, value in zip(methods, values)
    ]
    assert shaded(5, made, tmp_path) == {("bit_m", "visual_prompt", "camelyon17")}


def test_an_average_is_shaded_like_a_cell_and_only_if_all_of_it_was_measured(whole_grid, tmp_path):
    made = [one for one in whole_grid if one["spec"]["backbone"] == "bit_m_micro"]
    tasks = [*cells.tasks_of(shift=False), "average"]
    assert shaded(4, made, tmp_path) == {("bit_m", "visual_prompt", task) for task in tasks}
    without = [one for one in made if one["task"]["published"] != "svhn"]
    kept = set(tasks) - {"svhn", "average"}
    assert shaded(4, without, tmp_path) == {("bit_m", "visual_prompt", task) for task in kept}


def test_a_table_without_a_triangle_has_no_legend_that_would_read_as_a_result(tmp_path):
    made = [
        record("dtd_twin", "clip_micro", method, 60.0)
        for method in ("visual_prompt", "linear_probe")
    ]
    assert shaded(1, made, tmp_path) == set()
    for suffix in ("md", "tex"):
        assert "above linear probe" not in (tmp_path / f"table.{suffix}").read_text()


def test_table_2_shades_nothing_as_in_the_paper(whole_grid, tmp_path):
    assert shaded(2, whole_grid, tmp_path) == set()


def test_the_rule_of_table_1_shades_what_the_paper_shades(tmp_path):
    made = [
        record(f"{task}_twin", "clip_micro", method, value)
        for (_, method, task), value in published_module.accuracies(1).items()
        if task != "average"
    ]
    assert {task for _, _, task in shaded(1, made, tmp_path)} == {"eurosat", "svhn", "clevr"}


def test_two_variants_or_a_seed_twice_in_one_cell_are_refused_by_name():
    first = record("svhn_twin", "clip_micro", "visual_prompt", 60.0)
    wide = record("svhn_twin", "clip_micro", "visual_prompt", 70.0, variant="wide")
    with pytest.raises(RecordError, match="clip visual_prompt svhn: variant is 'default' and 'wid"):
        clip_table([first, wide])
    with pytest.raises(RecordError, match="two records for clip visual_prompt svhn, seed 0"):
        clip_table([first, first])


def test_a_cell_shows_the_measured_number_and_the_published_one_in_parentheses():
    assert render.markdown_cell("71.2", "96.4", False) == "71.2 (96.4)"
    assert render.markdown_cell("71.2", "96.4", True) == "**71.2 ▲** (96.4)"
    assert render.markdown_cell("", "96.4", False) == "– (96.4)"
    assert render.markdown_cell("71.2", "", False) == "71.2"
    assert (
        render.latex_cell("71.2", "96.4", True) == r"\cellcolor{green!20}\shortstack{71.2\\(96.4)}"
    )
    assert render.latex_cell("", "96.4", False) == r"\shortstack{--\\(96.4)}"
    assert render.escape("CLEVR_{50%}") == r"CLEVR\_\{50\%\}"


@pytest.mark.parametrize("name", [f"table{number}" for number in range(1, 7)])
@pytest.mark.parametrize("measured", [True, False])
def test_every_table_has_rows_of_equal_length_and_names_its_scale(
    whole_grid, tmp_path, name, measured
):
    made, folder = whole_grid if measured else [], tmp_path / "deep"
    write_table(name, made, folder / "table.csv")
    assert {path.suffix for path in folder.iterdir()} == {".csv", ".md", ".tex"}
    text, latex = ((folder / f"table.{suffix}").read_text() for suffix in ("md", "tex"))
    assert text.startswith("Lab scale" if made else "No measurements")
    rows = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 4 and len(set(rows)) == 1
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0].splitlines()
    cells_per_row = {line.count(" & ") for line in body if line.endswith(r"\\")}
    columns = latex.split(r"\begin{tabular}{")[1].split("}")[0]
    assert cells_per_row == {len(columns) - 1} == {rows[0] - 2}
    plain = latex.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert r"\end{tabular}" in latex


@pytest.mark.parametrize("name", ["table1", "table2", "table4", "table5"])
def test_the_columns_of_a_csv_are_the_promised_ones(whole_grid, tmp_path, name):
    write_table(name, whole_grid, tmp_path / "table.csv")
    frame = pandas.read_csv(tmp_path / "table.csv")
    assert tuple(frame.columns) == cells.COLUMNS
    assert frame.measured.notna().all() and frame.published.notna().all()


def test_table_3_counts_parameters_and_keeps_models_without_records(tmp_path):
    made = [record("svhn_twin", "clip_micro", "text_prompt", 20.0)]
    write_table("table3", made, tmp_path / "table3.csv")
    frame = pandas.read_csv(tmp_path / "table3.csv").set_index("role")
    assert frame.loc["clip", "parameters"] == 594657
    assert frame.loc["clip", "published_architecture"] == "ViT-B/32"
    assert frame.loc[["instagram", "bit_m", "rn50"], "parameters"].isna().all()
    assert "594,657" in (tmp_path / "table3.md").read_text()


def test_table_6_puts_the_papers_facts_beside_ours_where_they_differ(tmp_path):
    made = [record("eurosat_twin", "clip_micro", "text_prompt", 20.0)]
    write_table("table6", made, tmp_path / "table6.csv")
    lines = (tmp_path / "table6.md").read_text().splitlines()
    assert (
        "| EuroSAT twin (EuroSAT) | 500 (13,500) | 300 (5,400) | 1,000 (8,100) | 10 "
        "| This is a photo of a {} | 10.0 |"
    ) in lines
    assert "| – (SVHN) | – (73,257) | – | – (26,032) | – (10) | – (This is a photo" in "".join(
        lines
    )


def test_records_of_one_dataset_in_two_sizes_are_refused():
    first = record("svhn_twin", "clip_micro", "text_prompt", 20.0)
    second = first | {"task": first["task"] | {"classes": 5}}
    with pytest.raises(RecordError, match="svhn: classes is 10 and 5; select one"):
        table6.measured_facts([first, second])


def test_a_refused_record_is_one_line_and_exit_code_2(tmp_path, capsys):
    broken = tmp_path / "seed0.json"
    broken.write_text("{")
    assert run("table1", "--runs", str(broken), "--out", str(tmp_path / "table1.csv")) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: {broken}: broken JSON") and complaint.count("\n") == 1
    assert not (tmp_path / "table1.csv").exists()


def test_a_selection_and_digests_are_read_from_a_text_or_a_file(tmp_path, capsys):
    manifests = clip_runs(tmp_path / "runs")
    (tmp_path / "digests.json").write_text("{}")
    command = ["--runs", *map(str, manifests), "--out", str(tmp_path / "table1.csv")]
    assert run("table1", *command, "--select", '{"methods": ["linear_probe"]}') == 0
    frame = pandas.read_csv(tmp_path / "table1.csv")
    assert set(frame[frame.measured.notna()].method) == {"linear_probe"}
    assert run("table1", *command, "--digests", str(tmp_path / "digests.json")) == 2
    assert run("table1", *command, "--select", "{") == 2
    assert "--select: broken JSON" in capsys.readouterr().err
