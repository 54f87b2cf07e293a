"""What the numbers of a scale are, said before the first of them."""

from analysis.common.scales import Scale

STATEMENTS = {  # of the scales that the suite ships
    "lab": "Every number here is a lab number. The datasets are procedural twins of the paper's, "
    "painted by a program, and the backbones are micro models trained on a procedural world. "
    "Patterns may be compared with the paper's; absolute numbers may not. Numbers from the paper "
    "are always marked as such and never mixed with ours.",
    "smoke": "This is a check that everything runs. Its numbers mean nothing: far too few images, "
    "epochs and tasks.",
    "search": "This is a search for recipes on the validation splits of the lab's twins. No test "
    "image was looked at, and nothing here is a result.",
    "speedrun": "This is a search for shorter trainings of prompts on the validation splits of the "
    "lab's twins. Test accuracies stand beside, and decide nothing.",
    "training_length": "This is a search for how long a prompt must be trained, on the validation "
    "splits of the lab's twins. No test image decides anything, and nothing here is a result.",
    "study": "Every number here is of the study: procedural twins of the paper's datasets, painted "
    "by a program, and micro models trained on a procedural world. Prompts were trained for as "
    "long as could be paid, and beside them for half as long, which tells whether more training "
    "would still change them. Patterns may be compared with the paper's; absolute numbers may not.",
    "desk-speedrun": "This is a search for shorter trainings of prompts on the validation splits "
    "of real images. Test accuracies stand beside, and decide nothing.",
    "desk": "These are desk numbers: real images and ImageNet's weights, but other datasets and "
    "smaller models than the paper's, few images and short training. The model in CLIP's place is "
    "a classifier of ImageNet for which a sentence encoder reads. Directions may be compared with "
    "the paper's; absolute numbers may not.",
    "paper": "These numbers were measured at the paper's scale: its datasets and its models. "
    "Differences from the paper's own numbers, which stand beside them, are worth a look.",
    "paper-fast": "These numbers were measured on the paper's datasets and models with a fraction "
    "of its training steps, so the paper's own numbers, which stand beside them, may be higher.",
}
OF_KINDS = {  # of any other scale
    "twins": "These numbers come from procedural twins of the paper's datasets, painted by a "
    "program, and from micro models trained on a procedural world. Patterns may be compared with "
    "the paper's; absolute numbers may not.",
    "real": "These numbers come from real images and models, but not the paper's. Directions may "
    "be compared with the paper's; absolute numbers may not.",
    "paper": "These numbers were measured on the paper's datasets and models, with settings of "
    "one's own. The paper's own numbers stand beside them.",
    "rehearsal": "This is a rehearsal on made-up data. Its numbers mean nothing.",
}
NOTHING = (
    "Nothing has been measured: no run record was found. The numbers below, where there are any, "
    "are the paper's."
)


def statement(scale: Scale) -> str:
    """Returns what the numbers of a scale are, by its name or else by its kind."""
    if scale.name is None:
        return NOTHING
    return STATEMENTS.get(scale.name) or OF_KINDS.get(scale.kind or "", scale.title + ".")
