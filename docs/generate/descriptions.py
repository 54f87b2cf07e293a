"""What can be asked for, as tables: from vpbench/spec and the command line."""

from docs.generate.settings import shown
from docs.generate.text import number, table
from vpbench.cli.parser import grouped
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.backbones import BACKBONES, ROLES
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.prompt_forms import PROMPT_FORMS
from vpbench.spec.tasks import SPLITS, TASKS, is_twin

MODALITIES = {"vision_language": "CLIP", "vision": "vision models"}


def fragments() -> dict[str, str]:
    """Returns the tables, by the name of their file."""
    return {
        "methods": methods(),
        "label_maps": label_maps(),
        "prompt_forms": prompt_forms(),
        "backbones": backbones(),
        "datasets": datasets(),
        "analyses": analyses(),
        "verbs": verbs(),
    }


def backbones_of(modalities: tuple[str, ...]) -> str:
    """Returns which kinds of backbones something is for."""
    return MODALITIES[modalities[0]] if len(modalities) == 1 else "both"


def methods() -> str:
    """Returns the methods: what they learn, and for which backbones they are."""
    return table(
        ("Name", "In tables", "Learns", "Works on", "Learned tokens go into"),
        [
            [
                f"`{name}`",
                each.display,
                each.learns,
                backbones_of(each.modalities),
                ", ".join(each.token_towers) or "–",
            ]
            for name, each in METHODS.items()
        ],
    )


def label_maps() -> str:
    """Returns the label maps: for which backbones, and whether they are trained."""
    rows = [
        [f"`{name}`", backbones_of((each.modality,)), "yes" if each.trained else "no"]
        for name, each in LABEL_MAPS.items()
    ]
    return table(("Label map", "Works on", "Trained with the prompt"), rows)


def prompt_forms() -> str:
    """Returns the forms of a prompt in the image."""
    rows = [
        [f"`{name}`", shown(each.in_paper), shown(each.fixed and each.learns)]
        for name, each in PROMPT_FORMS.items()
    ]
    return table(("Template", "In the paper", "The same for every image"), rows)


def backbones() -> str:
    """Returns the backbones, with the licence of their weights."""
    rows = [
        [
            f"`{name}`",
            ROLES[each.role],
            each.architecture,
            each.pretrained_on,
            number(each.parameters, 0) if each.parameters else "–",
            each.licence,
        ]
        for name, each in BACKBONES.items()
    ]
    heads = ("Name", "Is or stands for", "Architecture", "Pretrained on", "Parameters")
    return table((*heads, "Licence of the weights"), rows)


def datasets() -> str:
    """Returns the real datasets: their splits and how they come, then what is known of each."""
    real = {name: facts for name, facts in FACTS.items() if name in TASKS and not is_twin(name)}
    rows, notes = [], []
    for name, facts in real.items():
        display = TASKS[name].display
        sizes = [number(facts.sizes.get(split, ""), 0) or "–" for split in SPLITS]
        rows.append([display, f"`{name}`", str(facts.classes), *sizes, facts.download])
        remark = f" {facts.remark[:1].upper()}{facts.remark[1:]}." if facts.remark else ""
        notes.append(
            f"- **{display}**: class names from {facts.names}; licence: {facts.licence}.{remark}\n"
        )
    heads = ("Dataset", "Name", "Classes", "Train", "Validation", "Test", "Download")
    return table(heads, rows) + "\n" + "".join(notes)


def analyses() -> str:
    """Returns the analyses and the modules that make them."""
    rows = [[f"`{name}`", each.kind, f"`{each.module}`"] for name, each in ANALYSES.items()]
    return table(("Analysis", "Makes a", "Module"), rows)


def verbs() -> str:
    """Returns the verbs of the command line, a table per group."""
    heads = ("Verb", "What it does")
    return "\n".join(
        f"{group.title[0].upper()}{group.title[1:]}:\n\n"
        + table(heads, [[f"`vpbench {name}`", text] for name, text in group.texts.items()])
        for group in grouped()[1]
    )
