import numpy as np
import pandas
import pytest
from matplotlib import pyplot

from analysis.figures import prompt_gallery
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import record, write_all
from tests.helpers.fake_sides import beside
from tests.helpers.tiny import MICRO, TWINS
from vpbench.common.errors import RecordError

SETTINGS = {"template": "padding", "size": 1}
PAPER = [name for name in TWINS if prompt_gallery.TASKS[name].published]


def border(value=0.5, size=4):
    """Returns the side file `examples` of a border of one pixel on two grey pictures."""
    canvas = np.full((3, size, size), value, np.float32)
    canvas[:, 1:-1, 1:-1] = 0
    images = np.stack([np.full((size, size, 3), grey, np.uint8) for grey in (51, 204)])
    prompted = (255 * np.clip(images / 255 + canvas.transpose(1, 2, 0), 0, 1)).round()
    arrays = {"images": images, "prompted": prompted.astype(np.uint8), "canvas": canvas}
    return arrays | {"labels": np.arange(2)}


def made(folder, task="svhn_twin", backbone="clip_micro", seed=0, variant="default", **examples):
    """Returns the loaded record of a border of twelve pixels."""
    one = record(task, backbone, "visual_prompt", 50.0 + seed, seed, settings=SETTINGS)
    one["spec"]["variant"] = variant
    one["trained_parameters"] = 36
    return beside(one, folder, examples=border(**examples))


def test_the_table_says_how_large_a_prompt_is_and_what_leaves_the_range(tmp_path):
    row = prompt_gallery.prompts(prompt_gallery.shown([made(tmp_path)])).iloc[0]
    assert (row.task, row.backbone, row.role, row.accuracy) == ("svhn", "clip_micro", "clip", 50)
    assert (row.template, row["size"], row.parameters) == ("padding", 1, 36)
    assert (row.largest, row.rms) == pytest.approx((0.5, 0.5))
    # 0.2 + 0.5 stays in, 0.8 + 0.5 does not: twelve of the 16 pixels of one of two pictures.
    assert row.share_outside == pytest.approx(100 * 12 / 32)


def test_a_pixel_is_outside_if_one_of_its_channels_is(tmp_path):
    one = made(tmp_path)
    arrays = border()
    arrays["canvas"][1:] = 0
    one = beside(one, tmp_path, examples=arrays)
    row = prompt_gallery.prompts(prompt_gallery.shown([one])).iloc[0]
    assert row.share_outside == pytest.approx(100 * 12 / 32)
    assert row.rms == pytest.approx(np.sqrt(12 * 0.25 / 36))


def test_a_prompt_is_drawn_with_zero_in_the_middle_and_black_and_white_at_its_range():
    canvas = np.zeros((3, 56, 56))
    canvas[0, 0] = 4.0
    canvas[1, 0] = -0.25
    picture = prompt_gallery.visible(canvas, 0.5)
    assert picture.shape == (56, 56, 3)
    assert np.all(picture[1:] == 0.5) and np.all(picture[..., 2] == 0.5)
    assert np.all(picture[0, :, 0] == 1) and np.all(picture[0, :, 1] == 0.25)


def test_prompts_that_differ_in_size_only_differ_at_one_range_and_not_at_their_own():
    small = np.random.default_rng(0).normal(0, 0.1, (3, 20, 20))
    large = 5 * small
    at_one = [prompt_gallery.visible(each, prompt_gallery.ALIKE) for each in (small, large)]
    assert at_one[1].std() > 4 * at_one[0].std()
    own = [prompt_gallery.visible(each, prompt_gallery.own_range(each)) for each in (small, large)]
    assert np.allclose(*own)


def test_one_wild_value_does_not_hide_the_rest_of_a_prompt():
    canvas = np.ones((3, 20, 20))
    canvas[:, 3, 3] = -100
    canvas[:, 10:] = 0  # where a prompt does not act it says nothing about its range
    assert prompt_gallery.own_range(canvas) == 1
    picture = prompt_gallery.visible(canvas, prompt_gallery.own_range(canvas))
    assert np.all(picture[3, 3] == 0) and picture[0, 0, 0] == 1


def test_a_prompt_of_zeros_is_grey():
    zeros = np.zeros((3, 8, 8))
    assert np.all(prompt_gallery.visible(zeros, prompt_gallery.own_range(zeros)) == 0.5)


def test_the_lowest_seed_is_shown_and_what_is_no_prompt_is_not(tmp_path):
    plain = record("svhn_twin", "clip_micro", "text_prompt", 20.0)
    found = prompt_gallery.shown([made(tmp_path, seed=2), plain, made(tmp_path, seed=1)])
    assert list(found) == [("svhn_twin", "clip_micro")]
    assert prompt_gallery.prompts(found).accuracy.tolist() == [51]


def test_prompts_of_two_variants_are_not_mixed(tmp_path):
    two = [made(tmp_path), made(tmp_path, variant="large")]
    with pytest.raises(RecordError, match="two prompts of clip_micro on svhn_twin: default"):
        prompt_gallery.shown(two)


def test_datasets_and_models_are_in_the_papers_order(tmp_path):
    cells = [("svhn_twin", "rn50_micro"), ("svhn_twin", "clip_micro"), ("dtd_twin", "rn50_micro")]
    found = prompt_gallery.shown([made(tmp_path, *cell) for cell in cells])
    assert list(found) == [cells[1], cells[0], cells[2]]


@pytest.mark.parametrize(("rows", "prompts"), [(15, 4), (2, 2), (1, 1)])
def test_the_tiles_fit_the_page_and_are_large_enough_to_see(rows, prompts):
    bottom = 0.6
    side, lefts, starts = prompt_gallery.lay_out(rows, prompts, prompt_gallery.PAIRS, bottom)
    assert 0.4 < side <= prompt_gallery.TILE
    edges = [*lefts, *starts, prompt_gallery.style.WIDTH]
    assert all(a + 2 * side <= b + 1e-9 for a, b in zip(edges, edges[1:]))
    row = side + prompt_gallery.BELOW + prompt_gallery.GAP
    height = prompt_gallery.TOP + rows * row + bottom
    assert height <= prompt_gallery.PAGE + 1e-9


def test_what_was_not_run_has_an_empty_tile_that_says_so(tmp_path):
    cells = [("svhn_twin", "rn50_micro"), ("svhn_twin", "clip_micro"), ("dtd_twin", "rn50_micro")]
    found = prompt_gallery.shown([made(tmp_path, *cell) for cell in cells])
    figure = prompt_gallery.draw(found, LAB, ["CLIP on DTD"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("not run") == 2  # CLIP's prompt on DTD, and pictures with it
    assert len(figure.axes[0].images) == 3 * 2 + 2 * 2 + 2
    assert texts.count("\N{PLUS-MINUS SIGN}0.5") == 3  # the own range of each
    assert any("Lab scale: procedural twins" in text for text in texts)
    assert any("98th percentile" in text and "Not run: CLIP on DTD." in text for text in texts)
    pyplot.close("all")


@pytest.mark.parametrize("tasks", [[], PAPER])
def test_the_gallery_writes_its_files_with_or_without_records(tmp_path, capsys, tasks):
    made_up = [made(tmp_path / "runs", task, backbone) for task in tasks for backbone in MICRO]
    for one in made_up:
        del one["file"]
    manifests = write_all(made_up, tmp_path / "runs")
    out, folder = tmp_path / "prompt_gallery.csv", tmp_path / "figures"
    command = ["--runs", *map(str, manifests), "--out", str(out), "--figures", str(folder)]
    assert run("prompt_gallery", *command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == prompt_gallery.COLUMNS and len(frame) == len(made_up)
    assert ("not run: CLIP" in capsys.readouterr().err) == (not tasks)
    assert (folder / "prompt_gallery.png").stat().st_size > 10_000
    assert b"/Type /Font" in (folder / "prompt_gallery.pdf").read_bytes()


def test_a_record_without_its_examples_is_refused_in_one_line(tmp_path, capsys):
    one = record("svhn_twin", "clip_micro", "visual_prompt", 50.0, settings=SETTINGS)
    manifests = write_all([one], tmp_path / "runs")
    out = tmp_path / "prompt_gallery.csv"
    command = ["--runs", *map(str, manifests), "--out", str(out), "--figures", str(tmp_path)]
    assert run("prompt_gallery", *command) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1 and "seed0.examples.npz" in error[0]
