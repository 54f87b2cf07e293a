"""How tables and figures look: display names, colours, sizes and files."""

from pathlib import Path

from vpbench.common import atomic_files
from vpbench.spec.backbones import BACKBONES, ROLES
from vpbench.spec.methods import METHODS
from vpbench.spec.scales import PAINTED

TASKS = {  # column heads of the paper's tables
    "cifar100": "CIFAR100",
    "cifar10": "CIFAR10",
    "flowers102": "Flowers",
    "food101": "Food",
    "eurosat": "EuroSAT",
    "sun397": "SUN",
    "ucf101": "UCF",
    "svhn": "SVHN",
    "oxfordpets": "Pets",
    "dtd": "DTD",
    "resisc45": "RESISC",
    "clevr": "CLEVR",
    "iwildcam": "iWILDCAM",
    "fmow": "FMoW",
    "camelyon17": "Camelyon17",
    "average": "Average",
}
MODALITIES = {"vision_language": "Vision-language", "vision": "Vision"}
SCALES = {
    None: "No measurements",
    "lab": "Lab scale: procedural twins, micro backbones",
    "smoke": "Smoke scale: a check that everything runs; its numbers mean nothing",
    "search": "Lab scale, search for recipes on validation splits",
    "speedrun": "Lab scale, search for shorter trainings on validation splits",
    "desk": "Desk scale: EfficientNet-Lite of ImageNet; in CLIP's place it has a sentence encoder",
    "desk-speedrun": "Desk scale, search for shorter trainings on validation splits",
    "paper": "Paper scale",
    "paper-fast": "Paper scale in fewer steps: real datasets and models, shorter training",
}
COLOURS = {  # from seaborn's colour-blind palette; every method has its own hatch as well
    "visual_prompt": "#0173b2",
    "linear_probe": "#de8f05",
    "fine_tune": "#d9d9d9",
}
HATCHES = {"visual_prompt": "", "linear_probe": "///", "fine_tune": "..."}
WIDTH = 7.0  # inches, a page; text is set in its printed size


def method_name(method, role):
    """Returns the paper's name of a method, e.g. VP + TP for a visual prompt of CLIP."""
    name = METHODS[method].display
    return f"{name} + TP" if method == "visual_prompt" and role == "clip" else name


def variant_name(method, variant):
    """Returns what a method is called where its variants stand side by side, e.g. VPT, deep."""
    name = METHODS[method].display
    return name if variant == "default" else f"{name}, {variant.replace('_', ' ')}"


def role_name(role):
    """Returns the paper's name of a model."""
    return ROLES[role]


def backbone_name(backbone):
    """Returns the paper's model that a backbone is or stands in for; of the desk its own name.

    Those have the role of a model of the paper, but nobody would take them for it.
    """
    entry = BACKBONES[backbone]
    return backbone if entry.module.startswith("vpbench.models.desk.") else role_name(entry.role)


def task_name(task, scale):
    """Returns the name of a dataset as it was measured: where it was painted, that of its twin."""
    twin = scale in PAINTED and task != "average"
    return f"{TASKS.get(task, task)} twin" if twin else TASKS.get(task, task)


def signed(number):
    """Returns a gain as text, with its sign."""
    return f"{number:+.1f}".replace("-", "\N{MINUS SIGN}")


def set_theme():
    """Returns None; from here on figures have this project's theme and embed their fonts."""
    import matplotlib
    import seaborn  # here, because tables need the names above and no second of seaborn's import

    matplotlib.use("Agg")
    sizes = {"font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8}
    ticks = {"xtick.labelsize": 8, "ytick.labelsize": 8, "hatch.linewidth": 0.5}
    fonts = {"pdf.fonttype": 42, "font.family": "DejaVu Sans"}
    seaborn.set_theme(context="paper", style="ticks", rc=sizes | ticks | fonts)


def save(figure, folder, name):
    """Returns the paths of `figure` as a PDF and as a PNG of 300 dots per inch."""
    from matplotlib import pyplot

    pdf, png = Path(folder, f"{name}.pdf"), Path(folder, f"{name}.png")
    same = {"CreationDate": None}  # equal records, equal file
    atomic_files.write_with(pdf, lambda file: figure.savefig(file, format="pdf", metadata=same))
    atomic_files.write_with(png, lambda file: figure.savefig(file, format="png", dpi=300))
    pyplot.close(figure)
    return pdf, png
