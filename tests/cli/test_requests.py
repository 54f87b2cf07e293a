import json

import pytest

from tests.helpers.fake_records import spec
from tests.helpers.messages import complains
from vpbench.cli.arguments import read_json, read_specs
from vpbench.cli.main import main
from vpbench.common.errors import UserError

SPECS = [spec("eurosat_twin", "clip_micro", "text_prompt", seed) for seed in (0, 1)]


def test_specs_are_read_from_the_command_line_or_from_a_file(tmp_path):
    file = tmp_path / "my specs.json"
    file.write_text(json.dumps(SPECS))
    assert read_specs(json.dumps(SPECS)) == read_specs(f"@{file}") == SPECS
    assert read_specs(str(file)) == SPECS
    file.write_text(json.dumps(SPECS[0], indent=1))
    assert read_json(f"@{file}") == read_json(str(file)) == SPECS[0]


def test_a_file_that_is_not_there_or_broken_is_named(tmp_path):
    file = tmp_path / "spec.json"
    with complains(UserError, file, "not read"):
        read_json(f"@{file}")
    file.write_text("{")
    for text in (f"@{file}", str(file)):
        with complains(UserError, file, "broken JSON"):
            read_json(text)
    with complains(UserError, "'nowhere.json'", "not JSON", "nor a file"):
        read_json("nowhere.json")


@pytest.mark.parametrize("verb", ["run-task", "measure"])
def test_no_spec_at_all_is_a_mistake(tmp_path, capsys, verb):
    out = tmp_path / "manifest.json"
    assert main([verb, "[]", "--out", str(out), "--device", "cpu"]) == 2
    assert "the specs must be a JSON list of at least one" in capsys.readouterr().err
    assert not out.exists()
