"""The forms of a prompt in the image (the paper's templates, section 3.2.2, and others')."""

from typing import NamedTuple

from vpbench.spec.outside import Catalogue


class PromptForm(NamedTuple):
    """The form of a prompt: its class, and what the rest of the suite must know of it."""

    implementation: str  # module:class of a vpbench.prompts.pixel.Prompt
    in_paper: bool = False
    fixed: bool = True  # the same for every image: nothing is drawn, no network
    learns: bool = True


_PIXEL = "vpbench.prompts.pixel:"
_OURS = {
    "padding": PromptForm(_PIXEL + "Padding", in_paper=True),
    "fixed_patch": PromptForm(_PIXEL + "FixedPatch", in_paper=True),
    "random_patch": PromptForm(_PIXEL + "RandomPatch", in_paper=True, fixed=False),
    "low_rank": PromptForm(_PIXEL + "LowRank"),  # a product of factors (LoR-VP)
    "conditional": PromptForm(_PIXEL + "Conditional", fixed=False),  # weighted by a network (SMM)
    "none": PromptForm(_PIXEL + "Nothing", learns=False),
}
PROMPT_FORMS = Catalogue("vpbench.prompts", PromptForm, _OURS)
PAPER_TEMPLATES = tuple(name for name, form in _OURS.items() if form.in_paper)
# Of the suite alone: a description from outside is not imported before it is looked up
FIXED_TEMPLATES = tuple(name for name, form in _OURS.items() if form.fixed and form.learns)
