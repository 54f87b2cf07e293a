"""The analyses: what turns records into a table or a figure, and how it is called."""

from typing import Any, NamedTuple

from vpbench.spec.outside import Catalogue

KINDS = ("table", "figure", "csv")


class Analysis(NamedTuple):
    """What turns records into a table (csv, Markdown, LaTeX), a figure (csv, pdf, png) or a csv.

    Its module has `write(records, [measurements,] out, [figures,] **options)`: `records` are those
    of the runs, `measurements` those of what is measured beside them, where it reads them, `out` is
    the path of the csv file, beside which a table has its other two, and `figures` the folder of
    the pdf and the png of a figure. They are named as the analysis. A caption NAME.rst may lie
    beside the module of an analysis from outside.
    """

    module: str
    kind: str = "figure"  # of KINDS
    reads_measurements: bool = False
    options: dict[str, Any] = {}  # by which analyses that share a module differ
    draws_prompts: bool = False  # does it show prompts and pictures with them?


_FIGURES = "analysis.figures."
_TABLES = "analysis.tables."


def _accuracy_table(number: int, modality: str, shift: bool, shaded_above: list[str]) -> Analysis:
    options = {"number": number, "modality": modality, "shift": shift, "shaded_above": shaded_above}
    return Analysis(_TABLES + "paper_accuracy", "table", options=options)


def _figure(name: str, reads_measurements: bool = False, draws_prompts: bool = False) -> Analysis:
    module = _FIGURES + name
    return Analysis(module, reads_measurements=reads_measurements, draws_prompts=draws_prompts)


_OURS = {
    "table1": _accuracy_table(1, "vision_language", False, ["linear_probe"]),
    "table2": _accuracy_table(2, "vision_language", True, []),
    "table3": Analysis(_TABLES + "table3", "table"),
    "table4": _accuracy_table(4, "vision", False, ["linear_probe"]),
    "table5": _accuracy_table(5, "vision", True, ["linear_probe", "fine_tune"]),
    "table6": Analysis(_TABLES + "table6", "table"),
    "table_accuracy": Analysis(_TABLES + "table_accuracy", "table"),
    "accuracy": _figure("accuracy"),
    "figure3": _figure("figure3"),
    "figure4": _figure("figure4"),
    "comparisons": _figure("comparisons"),
    "dataset_properties": _figure("dataset_properties", reads_measurements=True),
    "ablation_prompt_size": _figure("ablation_prompt_size"),
    "single_pixel": _figure("single_pixel", draws_prompts=True),
    "label_mapping": _figure("label_mapping"),
    "text_prompt_quality": _figure("text_prompt_quality"),
    "ablation_architecture": _figure("ablation_architecture"),
    "convergence": _figure("convergence"),
    "prompt_gallery": _figure("prompt_gallery", draws_prompts=True),
    "selection_gap": _figure("selection_gap"),
    "zero_shot_audit": _figure("zero_shot_audit"),
    "deployability": _figure("deployability", reads_measurements=True),
    "transfer": _figure("transfer", reads_measurements=True),
    "cost": _figure("cost"),
    "methods": _figure("methods"),
    "recipe_factorial": _figure("recipe_factorial"),
    "mapping_vs_prompt": _figure("mapping_vs_prompt"),
    "data_fraction": _figure("data_fraction"),
    "budget": _figure("budget"),
    "recipe_search": _figure("recipe_search"),
    "speedrun": _figure("speedrun"),
    "training_length": _figure("training_length"),
}
RULES = (  # of the workflow: a rule of an analysis is called as the analysis
    *("all", "smoke", "data", "prepare", "run", "run_task", "features", "regression", "measure"),
    *("measure_all", "reference_photographs", "tables", "methods_report", "lab_weights"),
    "methods_table",
)
PAGES = {  # what is made from tables and figures
    "claims": "analysis.claims.claims",
    "latex_document": "analysis.report.latex_document",
    "report": "analysis.report.report",
    "partial": "analysis.report.partial",
}
ANALYSES = Catalogue("vpbench.analyses", Analysis, _OURS, {"kind": KINDS}, taken=(*PAGES, *RULES))
