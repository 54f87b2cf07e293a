"""`vpbench reference` never replaces what is one's own, and makes what a run makes."""

import pytest

from tests.helpers.checkout import write_config
from tests.helpers.small_results import TEXT, configuration, edit, put, run_file
from vpbench.cli.main import main
from vpbench.cli.reference import new_folder
from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.records import reference
from vpbench.spec.grid import expand
from vpbench.verify import tables

ANALYSES = {
    "table1": {"modality": "vision_language", "shift": False},
    "prompt_gallery": {"methods": ["visual_prompt"]},
}


@pytest.fixture
def finished(results):
    """Returns results of one commit."""
    for path in [*results.glob("runs/**/seed?.json"), *results.glob("measurements/**/*_twin.json")]:
        edit(path, put("commit", "1" * 40))
    return results


@pytest.fixture
def command(tmp_path):
    """Returns a function that calls the verb and returns its exit code."""
    path = write_config(tmp_path, configuration())

    def call(*arguments, config=path):
        given = ["--configfile", str(config), "--archive", str(tmp_path / "reference.xz")]
        return main(["reference", *given, "--out", str(tmp_path / "reference"), *arguments])

    return call


def test_where_there_is_no_archive_one_line_says_what_to_do(command, capsys, tmp_path):
    assert command() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/reference.xz is not there" in line and "docs/reference-run.md" in line


def test_what_is_packed_was_verified_and_replaces_nothing_unasked(
    command, finished, capsys, tmp_path
):
    packed = tmp_path / "reference.xz"
    assert command("--pack", str(finished)) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"{packed}: ") and "4 runs and 1 measurements of the scale smoke" in said
    before = packed.read_bytes()
    assert command("--pack", str(finished)) == 2
    assert "--force" in capsys.readouterr().err
    edit(run_file(finished, TEXT), put("trained_parameters", 7))
    assert command("--pack", str(finished), "--force") == 1
    assert "trained_parameters is 7" in capsys.readouterr().out
    assert packed.read_bytes() == before
    edit(run_file(finished, TEXT), put("trained_parameters", 0))
    assert command("--pack", str(finished), "--force") == 0
    assert packed.read_bytes() == before


def test_a_reference_is_of_painted_pictures(command, tmp_path, capsys):
    real = configuration(kind="real")
    (tmp_path / "real").mkdir()
    config = write_config(tmp_path / "real", real | {"tasks": ["eurosat"], "measurements": {}})
    assert command("--pack", "results", config=config) == 2
    assert "is of no twins" in capsys.readouterr().err


def test_a_folder_of_ones_own_is_never_replaced(tmp_path):
    own = tmp_path / "results"
    (own / "runs").mkdir(parents=True)
    with pytest.raises(UserError, match="was not unpacked from an archive; choose another --out"):
        with new_folder(own):
            pytest.fail("it may not be written into")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_what_was_unpacked_before_is_replaced_whole_and_only_by_what_is_whole(tmp_path):
    out = tmp_path / "reference"
    for text in ("one", "two"):
        with new_folder(out) as fresh:
            atomic_files.write_bytes(fresh / text, b"")
            atomic_files.write(fresh / reference.MARK, {})
    assert sorted(path.name for path in out.iterdir()) == [reference.MARK, "two"]
    with pytest.raises(UserError, match="damaged"), new_folder(out) as fresh:
        fresh.mkdir()
        raise UserError("damaged")
    assert sorted(path.name for path in out.iterdir()) == [reference.MARK, "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["reference"]


@pytest.mark.slow
def test_an_unpacked_reference_gives_the_tables_figures_and_claims_of_the_run(
    command, finished, capsys, tmp_path
):
    folder = tmp_path / "config"
    folder.mkdir()
    config = write_config(folder, configuration(analyses=ANALYSES))
    wanted = expand(configuration(analyses=ANALYSES), str(config))
    assert tables.make(wanted, finished, [str(config)]) == []
    reference.pack(finished, wanted, tmp_path / "reference.xz")
    assert command(config=config) == 0
    out = tmp_path / "reference"
    texts = [path for path in finished.iterdir() if path.suffix in (".csv", ".md", ".tex")]
    assert {path.name for path in texts} > {"claims.csv", "table1.csv", "prompt_gallery.csv"}
    for path in texts:
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    for path in (finished / "figures").glob("*.png"):
        assert (out / "figures" / path.name).read_bytes() == path.read_bytes(), path.name
    assert (out / "report.html").is_file()
