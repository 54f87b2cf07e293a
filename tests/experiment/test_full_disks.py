"""Full disks and read-only folders give one line; afterwards a run completes."""

import re
from pathlib import Path

import pytest

from analysis.common.csv_file import write_csv
from tests.helpers import disk
from tests.helpers.command_runs import (
    BOTH,
    files,
    run,
    run_task,
    unwritten,
)
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.experiment import run as run_module
from vpbench.experiment import side_files
from vpbench.experiment.run import checkpoint_path


def test_a_disk_that_gets_full_at_any_file_gives_one_line_and_leaves_only_whole_files(
    tmp_path, monkeypatch, undisturbed, capsys
):
    whole, said = undisturbed(run_task(BOTH)), set()
    with disk.small(tmp_path / "disk") as full:
        monkeypatch.chdir(full.folder)
        rooms = 0, 3000, *(disk.PAGE * pages for pages in (1, 2, 4, 8, 16, 32))
        pattern = rf"(results/\S+): not written, {full.reason}"
        for path in unwritten(full, rooms, run_task(BOTH), pattern, capsys):
            said.add(Path(path).name)
            found = files(full.folder)
            assert path not in found and found.items() <= whole.items()
        full.free()
        assert main(run_task(BOTH)) == 0
        assert files(full.folder) == whole
        monkeypatch.chdir(tmp_path)
    assert len(said) >= 4, said


def test_without_room_for_checkpoints_a_run_completes(tmp_path, monkeypatch, undisturbed, capsys):
    monkeypatch.chdir(tmp_path)
    one, write = BOTH[1], side_files.write_run
    with disk.small(tmp_path / "checkpoints") as full:

        def write_with_room(*arguments):
            full.free()  # where files are limited, those of the record are as well
            return write(*arguments)

        monkeypatch.setattr(run_module, "write_run", write_with_room)
        full.fill(disk.PAGE)
        assert main(run(one)) == 0
        warnings = capsys.readouterr().err.count(f"not written, {full.reason}")
        assert list(full.folder.rglob("*.*")) == []
    assert warnings == 3  # steps
    assert files(tmp_path) == undisturbed(run(one))


def test_a_read_only_folder_gives_one_line_and_keeps_what_is_there(
    tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    assert main(run_task(BOTH[:1])) == 0
    before = files(tmp_path)
    with disk.read_only(tmp_path / "results") as reason:
        line = complains(run_task(BOTH))
        assert re.fullmatch(rf"results/runs/\S+npz: not written, {reason}", line)
        assert files(tmp_path) == before
    assert main(run_task(BOTH)) == 0
    assert files(tmp_path) == undisturbed(run_task(BOTH))


def test_a_record_folder_that_is_a_file_is_one_line(tmp_path, monkeypatch, complains):
    monkeypatch.chdir(tmp_path)
    Path("results").write_text("")
    line = complains(run_task(BOTH[:1]))
    assert line.startswith("results/runs/") and line.endswith(": not written, Not a directory")


def test_checkpoints_in_a_read_only_folder_are_used_and_stay(
    tmp_path, monkeypatch, undisturbed, capsys
):
    monkeypatch.chdir(tmp_path)
    one = BOTH[1]
    kept = checkpoint_path(one, "checkpoints")
    with monkeypatch.context() as context:
        context.setattr(run_module, "write_run", interrupt)
        assert main(run(one)) == 130  # as a shell says of a command that Ctrl-C has ended
    before = kept.read_bytes()
    with disk.read_only(tmp_path / "checkpoints"):
        assert main(run(one)) == 0
        assert kept.read_bytes() == before
    assert main(run(one)) == 0
    assert files(tmp_path) == undisturbed(run(one))


def interrupt(*_):
    """Raises KeyboardInterrupt, as if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


def test_a_table_that_does_not_fit_on_the_disk_leaves_the_earlier_one(tmp_path):
    import pandas

    with disk.small(tmp_path / "disk") as full:
        out = full.folder / "table.csv"
        write_csv(pandas.DataFrame({"a": [1]}), out)
        full.fill(0)
        large = pandas.DataFrame({"a": range(5000)})
        with pytest.raises(UserError, match=f"{out}: not written, {full.reason}"):
            write_csv(large, out)
        assert files(full.folder) == {"table.csv": b"a\n1\n"}
        full.free()
        write_csv(large, out)
        assert out.read_text().splitlines()[-1] == "4999"
