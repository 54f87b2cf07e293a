"""How far the jobs of a workflow are is read from their logs."""

import io
import queue

import pytest
from tqdm import tqdm

from vpbench.common.job_progress import told, watch


def bar(description, done, count):
    """Returns what a bar of tqdm writes into a log."""
    written = io.StringIO()
    with tqdm(desc=description, total=count, file=written, mininterval=0) as shown:
        for _ in range(done):
            shown.update()
        return written.getvalue()


RUNS = (
    "[1/45] eurosat_twin clip_micro text_prompt seed 0\n[2/45] eurosat_twin clip_micro vp seed 0\n"
)


@pytest.mark.parametrize(
    ("log", "begins", "ends"),
    [
        (RUNS, "run 2 of 45, eurosat_twin clip_micro vp seed 0", "seed 0"),
        (
            "device: cpu\n" + RUNS + bar("eurosat_twin clip_micro prompt seed 0", 7, 20),
            "run 2 of 45, eurosat_twin clip_micro vp seed 0: step 7 of 20, ",
            " left",
        ),
        (bar("one", 3, 3) + "\n" + RUNS, "run 2 of 45, ", "vp seed 0"),  # a bar of the run before
        (bar("clevr prompt seed 0", 4, 8), "seed0: clevr prompt seed 0 4 of 8, ", " left"),
        (bar(None, 4, 8), "seed0: step 4 of 8, ", " left"),
        ("done\n", None, None),
        ("", None, None),
    ],
)
def test_a_line_says_the_run_at_hand_its_step_and_what_is_left(log, begins, ends, tmp_path):
    path = tmp_path / "seed0.log"
    path.write_text(log, newline="")
    line = told(path)
    if begins is None:
        assert line is None
    else:
        assert line.startswith(begins) and line.endswith(ends) and len(line.splitlines()) == 1


def test_a_log_that_is_not_there_says_nothing(tmp_path):
    assert told(tmp_path / "none.log") is None


def test_only_logs_that_grow_are_told_of(tmp_path):
    (tmp_path / "lab").mkdir()
    old, new = tmp_path / "lab" / "old.log", tmp_path / "lab" / "new.log"
    old.write_text("[1/2] of before\n")
    said: queue.Queue[str] = queue.Queue()
    ended = watch(said.put, tmp_path, pause=0.3)
    try:
        new.write_text("[1/3] the first\n")
        assert said.get(timeout=20) == "run 1 of 3, the first"
        with pytest.raises(queue.Empty):
            said.get(timeout=0.6)
        with new.open("a") as log:
            log.write("[2/3] the second\n")
        assert said.get(timeout=20) == "run 2 of 3, the second"
    finally:
        ended.set()
