import numpy as np
import pandas
import pytest
import torch
from matplotlib import pyplot

from analysis.figures import transfer
from tests.helpers import analyses
from tests.helpers.analyses import LAB
from tests.helpers.fake_measurements import measurement
from tests.helpers.tiny import DATA, PADDING, spec
from vpbench.data.load import load_task
from vpbench.experiment import run, side_files
from vpbench.experiment.measurements import transfer as measured
from vpbench.methods.kept_models import load_model
from vpbench.prompts.label_maps import label_map
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec.tasks import TASKS

CPU = torch.device("cpu")
VISION = {"label_map": "hard_coded", "lr": 20.0}


@pytest.fixture(scope="module")
def prompted(tmp_path_factory, clip, resnet, task):
    """Returns the loaded records of a prompt of CLIP and of one of RN50, in pixel units."""
    folder, paths = tmp_path_factory.mktemp("runs"), []
    specs = (
        spec(lr=20.0),
        spec(backbone="rn50_micro", prompt_space="pixel", **VISION),
    )
    for one, backbone in zip(specs, (clip, resnet)):
        path = record_path(one, folder)
        paths.append(side_files.write_run(path, *run.run(one, task, backbone), task, backbone))
    return reading.load(paths)


@pytest.fixture(scope="module")
def found(prompted, task):
    """Returns (source, target) -> (row, correct, unprompted) of both prompts on both backbones."""
    measurements = measured.measure(lambda _: task, {"images": 1000}, prompted, CPU)
    arrays = measurements.arrays["correct"], measurements.arrays["unprompted"]
    return {
        (row["backbone"], row["target_backbone"]): (row, *hits)
        for row, *hits in zip(measurements.rows, *arrays, strict=True)
    }


def accuracy(record):
    """Returns the test accuracy of a run."""
    return record["selection"][record["rule"]]["test"]["accuracy"]


def prompt_file(record):
    """Returns where the prompt of a run lies, without its suffix."""
    return record["file"].replace(".json", ".prompt")


def test_a_prompt_at_home_has_the_accuracy_of_its_run(prompted, found):
    for record in prompted:
        backbone = record["spec"]["backbone"]
        row, correct, _ = found[backbone, backbone]
        predictions = reading.arrays(record, "predictions")
        assert np.array_equal(correct, predictions["prediction"] == predictions["label"])
        assert row["accuracy"] == pytest.approx(accuracy(record))
        assert row["images"] == DATA["test"]


def test_a_prompt_is_moved_in_pixel_units_and_read_as_the_target_reads(
    prompted, found, clip, resnet, task
):
    test = task.splits["test"]
    pixels = test.images.permute(0, 3, 1, 2).float() / 255
    canvas = load_model(prompt_file(prompted[0]), clip).prompt.canvas()
    moved = pixels + (canvas * clip.std).detach()
    logits = label_map(resnet, task, PADDING | VISION)
    with torch.no_grad():
        predictions = logits((moved - resnet.mean) / resnet.std).argmax(1)
    row, correct, _ = found["clip_micro", "rn50_micro"]
    assert np.array_equal(correct, (predictions == test.labels).numpy())
    assert row["accuracy"] == pytest.approx(100 * correct.mean())


def test_a_prompt_in_pixel_units_is_moved_as_it_is(prompted, resnet):
    classifier = load_model(prompt_file(prompted[1]), resnet).classifier
    torch.testing.assert_close(classifier.pixel_canvas(), classifier.prompt.canvas().detach())


def test_a_prompt_that_shrinks_the_image_cannot_be_moved_and_is_refused_by_its_file(prompted, task):
    one = dict(prompted[0], spec=spec(image_side=42))
    with pytest.raises(ValueError, match=r"seed0.json: only a prompt that is the same for every"):
        measured.measure(lambda _: task, {"images": 10}, [one], CPU)


def test_a_prompt_is_read_with_the_label_map_that_was_learned_beside_it(task, resnet, tmp_path):
    learned = {"label_map": "linear", "map_lr": 0.01, "lr": 20.0}
    one = spec(backbone="rn50_micro", **learned)
    path = record_path(one, tmp_path)
    side_files.write_run(path, *run.run(one, task, resnet), task, resnet)
    (loaded,) = reading.load([path])
    (row,) = measured.measure(lambda _: task, {"images": 1000}, [loaded], CPU).rows
    assert row["accuracy"] == pytest.approx(accuracy(loaded))


def test_without_a_prompt_a_target_is_what_it_is_whoever_comes(found, task):
    record, predictions, _ = run.run(
        spec("text_prompt"), task, measured.backbone_of("clip_micro", "cpu")
    )
    right = predictions["prediction"] == predictions["label"]
    for source in ("clip_micro", "rn50_micro"):
        row, _, plain = found[source, "clip_micro"]
        assert np.array_equal(plain, right)
        assert row["unprompted"] == pytest.approx(accuracy(record))


def test_prompts_of_another_seed_or_variant_do_not_meet(prompted):
    clip, resnet = prompted
    assert measured.fits(clip, resnet, CPU)
    for change in ({"seed": 1}, {"variant": "large"}):
        assert not measured.fits(clip, resnet | {"spec": resnet["spec"] | change}, CPU)


def test_the_twins_have_no_two_tasks_with_the_same_classes(task):
    assert measured.same_classes(task) == []


def test_a_prompt_goes_to_a_task_with_the_same_classes(prompted, task, monkeypatch):
    monkeypatch.setitem(TASKS, "again_twin", TASKS["eurosat_twin"])
    assert measured.same_classes(task) == ["again_twin"]
    (clip, _) = prompted
    rows = measured.measure(lambda _: task, {"images": 10}, [clip], CPU).rows
    assert [row["target_task"] for row in rows] == ["eurosat_twin", "again_twin"]
    there = load_task("again_twin", DATA).splits["test"].images
    assert not torch.equal(there, task.splits["test"].images)
    assert rows[1]["backbone"] == rows[1]["target_backbone"] == "clip_micro"
    assert rows[1]["images"] == 10


def made(task, folder, moves):
    """Returns the path of a measurement: (source, target, other task) -> right with, without."""
    rows = [
        {"backbone": source, "target_backbone": target, "target_task": other or task}
        | {"variant": "default", "seed": 0}
        for source, target, other in moves
    ]
    correct, plain = ([np.arange(10) < right for right in side] for side in zip(*moves.values()))
    return measurement("transfer", task, rows, folder, correct=correct, unprompted=plain)


MODELS = {
    ("clip_micro", "clip_micro", None): (9, 5),
    ("clip_micro", "rn50_micro", None): (1, 2),
    ("rn50_micro", "clip_micro", None): (3, 5),
    ("rn50_micro", "rn50_micro", None): (7, 2),
}
BETTER = {move: (with_prompt + 1, without) for move, (with_prompt, without) in MODELS.items()}


def test_a_gain_is_over_the_same_model_without_a_prompt(tmp_path):
    paths = made("svhn_twin", tmp_path, MODELS), made("dtd_twin", tmp_path, BETTER)
    frame = transfer.transfers(reading.load(paths))
    frame = frame.set_index(["task", "backbone", "target_backbone"])
    row = frame.loc["svhn", "rn50_micro", "clip_micro"]
    assert row.target_task == "svhn"
    assert (row.accuracy, row.unprompted, row.own, row.gain) == pytest.approx((30, 50, 90, -20))
    assert row.low < -20 < row.high <= 0
    mean = frame.loc["all", "rn50_micro", "clip_micro"]
    assert (mean.accuracy, mean.unprompted, mean.own, mean.gain) == pytest.approx((35, 50, 95, -15))
    assert (mean.images, mean.tasks) == (20, 2)


def test_a_prompt_on_another_task_stands_beside_the_one_learned_there(tmp_path):
    moved = MODELS | {("clip_micro", "clip_micro", "dtd_twin"): (4, 3)}
    paths = made("svhn_twin", tmp_path, moved), made("dtd_twin", tmp_path, BETTER)
    frame = transfer.transfers(reading.load(paths))
    row = frame[(frame.task == "svhn") & (frame.target_task == "dtd")].iloc[0]
    assert (row.accuracy, row.unprompted, row.own, row.gain) == pytest.approx((40, 30, 100, 10))
    mean = frame[(frame.task == "all") & (frame.backbone == "clip_micro")].iloc[0]
    assert mean.tasks == 2 and mean.accuracy == pytest.approx(95)  # those that stayed


def test_a_prompt_that_was_not_learned_has_no_accuracy_of_its_own(tmp_path):
    path = made("svhn_twin", tmp_path, {("clip_micro", "rn50_micro", None): (1, 2)})
    assert transfer.transfers(reading.load([path])).own.isna().all()


@pytest.mark.parametrize("moves", [{}, {("clip_micro", "clip_micro", None): (9, 5)}, MODELS])
def test_the_analysis_writes_its_files_whatever_was_measured(tmp_path, capsys, moves):
    paths = [str(made("svhn_twin", tmp_path, moves))] if moves else []
    out, folder = tmp_path / "transfer.csv", tmp_path / "figures"
    command = ["--runs", "--measurements", *paths, "--out", str(out), "--figures", str(folder)]
    assert analyses.run("transfer", *command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == transfer.COLUMNS and len(frame) == 2 * len(moves)
    alone = "another model to move prompts to" in capsys.readouterr().err
    assert alone == (len(moves) == 1)
    assert (folder / "transfer.png").stat().st_size > 10_000
    assert b"/Type /Font" in (folder / "transfer.pdf").read_bytes()


def words(figure):
    """Returns all that a figure says."""
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    titles = [axes.get_title() for axes in figure.axes]
    return " ".join([figure.get_suptitle(), figure.get_supxlabel(), *titles, *texts])


def test_the_figure_says_whether_prompts_went_to_other_datasets(tmp_path):
    moved = MODELS | {("clip_micro", "clip_micro", "dtd_twin"): (4, 3)}
    for moves, said in ((MODELS, "No two of these datasets"), (moved, "Used on another dataset")):
        frame = transfer.transfers(reading.load([made("svhn_twin", tmp_path, moves)]))
        text = words(transfer.draw(frame, LAB, []))
        assert said in text and "Lab scale: procedural twins" in text
        assert "+40.0" in text and "\N{MINUS SIGN}10.0" in text
    pyplot.close("all")


def test_a_pair_that_was_not_measured_says_so(tmp_path):
    moves = {
        move: right for move, right in MODELS.items() if move[:2] != ("rn50_micro", "clip_micro")
    }
    frame = transfer.transfers(reading.load([made("svhn_twin", tmp_path, moves)]))
    assert words(transfer.draw(frame, LAB, [])).count("not run") == 1
    pyplot.close("all")
