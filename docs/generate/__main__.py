"""`python -m docs.generate [--results results/reference]` writes every number of pages and README.

With --results the tables and figures of the reference run, or of the lab, are taken first, into
docs/data/lab and docs/figures. Everything else is made from docs/data and from vpbench/spec, so it
is the same in every checkout.
"""

import argparse
import csv
import shutil
import sys
from pathlib import Path

from docs.generate import pages
from vpbench.common.errors import UserError

ROOT = Path(__file__).parents[2]
SCALES = ("lab", "study")  # that the pages show
TABLES = (  # of a run of the lab, that the pages show
    *("claims", "table1", "table2", "table4", "table5", "table6", "figure4"),
    *("dataset_properties", "deployability", "transfer", "single_pixel"),
)
FIGURES = ("figure3", "figure4", "dataset_properties", "ablation_prompt_size")


def take(results: Path, root: Path) -> None:
    """Copies the tables and figures of a run of the lab into the documentation of `root`."""
    files = {results / f"{name}.csv": root / "docs/data/lab" for name in TABLES}
    files |= {results / "figures" / f"{name}.png": root / "docs/figures" for name in FIGURES}
    missing = [file.as_posix() for file in files if not file.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]} is not there; make all results first: vpbench reference, or snakemake "
            "--cores 8 all"
        )
    with open(results / "claims.csv", newline="") as claims:
        scales = {row["scale"] for row in csv.DictReader(claims)}
    if len(scales) != 1 or not scales <= set(SCALES):
        raise UserError(
            f"{results}/claims.csv is of the scale {', '.join(sorted(scales))}, expected "
            f"{' or '.join(SCALES)}; run vpbench reference, or snakemake --cores 8 all, whose "
            "records are kept"
        )
    for file, folder in files.items():
        shutil.copyfile(file, folder / file.name)


def write(root: Path) -> list[Path]:
    """Returns the files that were not up to date, after writing them."""
    stale = pages.stale(root)
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(stale)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser("python -m docs.generate", description=__doc__)
    parser.add_argument("--results", type=Path, help="folder of the reference, or of the lab")
    results = parser.parse_args(argv).results
    try:
        if results is not None:
            take(results, ROOT)
        for path in write(ROOT):
            print(path.relative_to(ROOT))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
