"""Figure 8 on made-up records."""

import numpy as np
import pytest
from matplotlib import pyplot
from scipy.stats import pearsonr, spearmanr

from analysis.figures import text_prompt_quality
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import (
    check_lost_predictions,
    check_products,
    default,
    figure_text,
    prompt,
    row_of,
    text,
)
from tests.helpers.fake_sides import beside

ZERO_SHOT = (10.0, 20.0, 30.0, 40.0, 25.0)
PROMPTED = (60.0, 62.0, 71.0, 72.0, 66.0)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Makes the intervals of Figure 8 quick."""
    monkeypatch.setattr(text_prompt_quality, "SAMPLES", 100)


def quality_runs(folder, prompted=PROMPTED):
    """Returns runs of text prompts with these accuracies of TP and VP."""
    made = []
    for number, (zero_shot, accuracy) in enumerate(zip(ZERO_SHOT, prompted)):
        names = ["a", "b"] if number == 3 else None
        said = {"variant": f"words{number}", "text_prompt": f"{number} {{}}", "class_names": names}
        made.append(beside(text(zero_shot, **said), folder))
        made.append(beside(prompt(accuracy, **said), folder))
    return made


def test_figure_8_has_the_gain_and_the_slope_against_their_null(tmp_path):
    frame = text_prompt_quality.accuracies(quality_runs(tmp_path))
    order = np.argsort(ZERO_SHOT)
    assert list(frame.text_prompt_accuracy) == sorted(ZERO_SHOT)
    gains = np.subtract(PROMPTED, ZERO_SHOT)
    assert list(frame.gain) == pytest.approx(list(gains[order]))
    assert (frame.gain_low < frame.gain).all() and (frame.gain < frame.gain_high).all()
    assert list(frame.text_prompt) == [f"{number} {{}}" for number in order]
    assert row_of(frame, text_prompt="3 {}").class_names == "a, b"
    summary = text_prompt_quality.statistics(frame).set_index("statistic")
    assert summary.value["slope"] == pytest.approx(np.polyfit(ZERO_SHOT, PROMPTED, 1)[0])
    assert summary.value["pearson"] == pytest.approx(pearsonr(ZERO_SHOT, gains).statistic)
    assert summary.value["spearman"] == pytest.approx(spearmanr(ZERO_SHOT, gains).statistic)
    assert dict(summary["null"]) == {"slope": 0, "pearson": -1, "spearman": -1}
    assert (summary.low <= summary.value).all() and (summary.value <= summary.high).all()


def test_a_constant_visual_prompt_gives_the_null(tmp_path):
    frame = text_prompt_quality.accuracies(quality_runs(tmp_path, (70.0,) * len(ZERO_SHOT)))
    summary = text_prompt_quality.statistics(frame)
    assert list(summary.value) == pytest.approx(list(summary["null"]))
    said = text_prompt_quality.summary_text(summary)
    assert "Slope of VP on TP: 0.00" in said and "would give \N{MINUS SIGN}1" in said


def test_runs_of_other_recipes_and_halves_of_a_pair_are_no_points(tmp_path):
    made = quality_runs(tmp_path)
    more = [text(50.0), default(), prompt(99.0, size=3), text(5.0, "alone", text_prompt="lone {}")]
    frame = text_prompt_quality.accuracies([*made, *more])
    assert len(frame) == len(ZERO_SHOT)
    missing = text_prompt_quality.gaps_of([*made, *more], frame)
    assert any("visual prompt with \N{LEFT DOUBLE QUOTATION MARK}lone {}" in one for one in missing)
    alike = [*made, beside(text(50.0), tmp_path), beside(default(epochs=4), tmp_path)]
    assert len(text_prompt_quality.accuracies(alike)) == len(ZERO_SHOT) + 1


def test_three_text_prompts_are_too_few_for_a_correlation(tmp_path):
    made = quality_runs(tmp_path)[:6]
    frame = text_prompt_quality.accuracies(made)
    assert len(frame) == 3 and text_prompt_quality.statistics(frame).empty
    assert text_prompt_quality.gaps_of(made, frame) == [
        "enough text prompts for a correlation: 3 of at least 4"
    ]


def test_text_prompts_of_one_quality_have_no_correlation(tmp_path):
    made = quality_runs(tmp_path)
    made = [beside(text(20.0, **words(one)), tmp_path) if plain(one) else one for one in made]
    frame = text_prompt_quality.accuracies(made)
    assert text_prompt_quality.statistics(frame)[["value", "low", "high"]].isna().all(axis=None)
    assert "all have the same accuracy" in text_prompt_quality.gaps_of(made, frame)[0]


def plain(record):
    """Returns whether a run is of the text prompt alone."""
    return record["spec"]["method"] == "text_prompt"


def words(record):
    """Returns the variant and the words of a run."""
    return {"variant": record["spec"]["variant"]} | record["spec"]["settings"]


def test_a_text_prompt_is_shown_as_it_is(tmp_path):
    made = quality_runs(tmp_path)
    for one in made[:2]:
        one["spec"]["settings"]["text_prompt"] = "$x_1$ & 100 % {} \\alpha"
    frame = text_prompt_quality.accuracies(made)
    summary = text_prompt_quality.statistics(frame)
    figure = text_prompt_quality.draw(frame, summary, LAB, "eurosat", ["$x_$"])
    figure.canvas.draw()  # broken mathematics would be an error
    assert "$x_1$ & 100 % {} \\alpha" in figure_text(figure)
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_text_prompt_quality_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = quality_runs(tmp_path / "runs") if some else []
    assert bool(len(check_products(text_prompt_quality, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")


def test_lost_predictions_of_text_prompt_quality_are_one_line(tmp_path, capsys):
    check_lost_predictions(text_prompt_quality, quality_runs(tmp_path / "runs"), tmp_path, capsys)
