"""The command that runs the notebooks, on pages of its own; CI runs it on those of the docs."""

import json
import subprocess
import sys

from tests.helpers.checkout import ROOT, environment

PAGE = """# %% [markdown]
# # Two cells

# %%
import os

import vpbench

half = 21

# %%
print(2 * half, len(os.listdir()))
"""


def notebooks(folder, page):
    """Returns (exit code, what is printed) of the command on a page, whose notebook is kept."""
    (folder / "page.py").write_text(page)
    command = [sys.executable, "-m", "docs.notebooks", folder / "page.py", "--out", folder / "made"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_page_runs_as_a_notebook_in_an_empty_folder_and_keeps_its_outputs(tmp_path):
    code, said = notebooks(tmp_path, PAGE)
    assert code == 0 and said.startswith("page: "), said
    cells = json.loads((tmp_path / "made/page.ipynb").read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    assert cells[2]["outputs"][0]["text"] == ["42 0\n"]


def test_a_cell_that_fails_fails_the_command_and_is_shown(tmp_path):
    code, said = notebooks(tmp_path, PAGE + "\n# %%\n{}['nothing']\n")
    assert code == 1 and "{}['nothing']" in said and "KeyError" in said


def test_every_notebook_is_on_the_page_of_the_notebooks():
    page = (ROOT / "docs/notebooks.md").read_text()
    names = [path.name for path in (ROOT / "docs/notebooks").glob("[a-z]*.py")]
    assert len(names) == 3
    assert all(f"(notebooks/{name})" in page for name in names)
