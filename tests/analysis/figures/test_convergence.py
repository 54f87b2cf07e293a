"""The table and figure of what the last doubling gave, on made-up records."""

import math

import pytest
from matplotlib import pyplot

from analysis.common import convergence as rule
from analysis.figures import convergence
from tests.helpers.analyses import LAB, NOWHERE
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_lengths import doubled, run, upper


def made_runs(folder):
    """Returns arms of every state: two with partners, one that borrows, one that is unknown."""
    return [
        run(folder, 70, method="linear_probe"),
        *doubled(folder, 60, 10),
        run(folder, 90, task="dtd_twin"),
        *doubled(folder, 80, -5, method="fine_tune"),
        run(folder, 30, backbone="rn50_micro"),
    ]


def test_every_arm_is_a_row_with_its_gain_and_what_it_may_still_gain(tmp_path):
    frame = convergence.rows_of(made_runs(tmp_path))
    assert tuple(frame.columns) == convergence.COLUMNS and len(frame) == 5
    assert set(frame.variant) == {"default"}  # a partner is no arm
    row = row_of(frame, backbone="clip_micro", task="svhn_twin", method="visual_prompt")
    assert (row.state, row.partner, row.epochs, row.images) == ("rising", "own", 8, 2000)
    assert (row.gain, row.accuracy) == (pytest.approx(10), 60)
    assert row.may_gain == pytest.approx(2 * row.high) == pytest.approx(2 * upper(10), abs=0.4)
    row = row_of(frame, task="dtd_twin")
    assert (row.state, row.partner, row.may_gain) == ("rising", "group", 10)  # to 100
    row = row_of(frame, method="fine_tune")
    assert (row.state, row.may_gain) == ("overfits", 0) and row.high < 0
    row = row_of(frame, method="linear_probe")
    assert (row.state, row.may_gain) == ("finished", 0) and math.isnan(row.gain)
    row = row_of(frame, backbone="rn50_micro")
    assert (row.state, row.partner, row.may_gain) == ("unknown", "none", 70)


def test_the_figure_shows_the_arms_that_are_trained_and_names_what_has_no_partner(tmp_path):
    frame = convergence.rows_of(made_runs(tmp_path))
    missing = convergence.gaps_of(frame)
    assert missing == ["half the length of VP of rn50_micro, 1 of 1"]
    figure = convergence.draw(frame, LAB, missing)
    said = figure_text(figure)
    assert "SVHN twin, VP (8 epochs)" in said and "SVHN twin, LP" not in said
    assert "Lab scale" in said and "1 point" in said and missing[0] in said
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["overfits", "rising", "unknown", "of its group", "1 point"]
    alone = convergence.rows_of(made_runs(tmp_path)[-1:])
    assert "Not run: half the length of VP" in figure_text(
        convergence.draw(alone, NOWHERE, convergence.gaps_of(alone))
    )
    pyplot.close("all")


def test_every_state_of_what_is_trained_by_steps_has_a_colour():
    assert {*convergence.COLOURS, rule.FINISHED} == set(rule.STATES)


@pytest.mark.parametrize("some", [True, False])
def test_convergence_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = made_runs(tmp_path / "runs") if some else []
    assert len(check_products(convergence, made, tmp_path)) == 5 * some
    assert capsys.readouterr().err.startswith("warning: not run: ")
