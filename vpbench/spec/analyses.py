"""The analyses: where each is, and whether it makes a table or a figure."""

from typing import NamedTuple

KINDS = ("table", "figure")


class Analysis(NamedTuple):
    """What turns records into a table (csv, Markdown, LaTeX) or a figure (csv, pdf, png)."""

    module: str
    kind: str = "figure"  # of KINDS


_TABLES = "analysis.tables."
_FIGURES = "analysis.figures."
ANALYSES = {
    **{f"table{number}": Analysis(f"{_TABLES}table{number}", "table") for number in range(1, 7)},
    "table_accuracy": Analysis(_TABLES + "table_accuracy", "table"),
    "accuracy": Analysis(_TABLES + "accuracy"),
    **{
        name: Analysis(_FIGURES + name)
        for name in (
            *("figure3", "figure4", "comparisons", "dataset_properties", "ablation_prompt_size"),
            *("single_pixel", "label_mapping", "text_prompt_quality", "ablation_architecture"),
            *("prompt_gallery", "selection_gap", "zero_shot_audit", "deployability", "transfer"),
            *(
                "cost",
                "methods",
                "recipe_factorial",
                "mapping_vs_prompt",
                "data_fraction",
                "budget",
            ),
            *("recipe_search", "speedrun"),
        )
    },
}
PAGES = {  # what is made from tables and figures
    "claims": "analysis.claims.claims",
    "latex_document": "analysis.report.latex_document",
    "report": "analysis.report.report",
}
