"""The captions that the repository ships, which must be true at every scale."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, StrictUndefined

from vpbench.spec.analyses import ANALYSES, PAGES
from vpbench.spec.scales import KINDS, SCALES

CAPTIONS = Path("workflow/report")
SCALE = re.compile(
    rf"\b(?:{'|'.join(SCALES)})(?:'s)? scale\b|\b(?:the|of the|at) (?:lab|desk)\b", re.I
)
OF_KINDS = {
    "twins": "procedural twins",
    "real": "others than the paper's",
    "rehearsal": "its numbers mean nothing",
}


def workflow(kind):
    """Returns the description of the workflow at a scale of this kind, as one line."""
    text = (CAPTIONS / "workflow.rst").read_text()
    config = {"scale": "mine", "kind": kind}
    template = Environment(undefined=StrictUndefined).from_string(text)
    return " ".join(template.render(snakemake=SimpleNamespace(config=config)).split())


@pytest.mark.parametrize("name", [*ANALYSES, "claims"])
def test_no_caption_says_at_which_scale_it_is_shown(name):
    assert name in {**ANALYSES, **PAGES}
    text = " ".join((CAPTIONS / f"{name}.rst").read_text().split())
    assert not SCALE.search(text), SCALE.search(text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_of_the_workflow_says_what_its_own_kind_of_scale_is(kind):
    said = workflow(kind)
    assert "at the **mine** scale" in said and "A cell whose run is missing is empty" in said
    for other, words in OF_KINDS.items():
        assert (words in said) == (other == kind)
    assert "lab" not in said.split()
