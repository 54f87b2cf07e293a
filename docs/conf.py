"""How Sphinx makes the pages: `sphinx-build -W -b html docs docs/_build/html`."""

import json
from pathlib import Path

HERE = Path(__file__).parent

project = "vpbench"
author = copyright = "vpbench contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generated", "data/desk"]

myst_enable_extensions = ["deflist", "substitution"]
myst_heading_anchors = 4
myst_substitutions = json.loads((HERE / "generated/values.json").read_text())

default_role = "literal"  # docstrings write `name`
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
nitpicky = False

html_theme = "furo"
html_title = "vpbench"
html_static_path = []
html_copy_source = False
