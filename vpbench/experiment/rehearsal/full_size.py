"""All analyses, claims, LaTeX and report on full-size made-up records, through the real rules."""

import shutil
import subprocess
from pathlib import Path

from vpbench.common import atomic_files
from vpbench.experiment.rehearsal import made_up_measurements, made_up_records
from vpbench.experiment.rehearsal.configuration import SCALE
from vpbench.experiment.rehearsal.outcomes import ABSENT, FAILS, HOLDS, Outcome
from vpbench.experiment.rehearsal.workflow import (
    Machine,
    complaint,
    first_error,
    snakemake,
    write_config,
)
from vpbench.records.paths import MANIFEST, manifest
from vpbench.spec.aliases import Config
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, expand
from vpbench.spec.made_up import KIND
from vpbench.spec.products import EXTENSIONS_PAGE, PAGES, products, rule_name

PAGE_RULES = {Path(page).stem: page for page in PAGES}  # rule -> what it makes
LATEX = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex")


def of_records(config: Config) -> Config:
    """Returns the configuration of the made-up records: the whole grid, but a rehearsal's."""
    return config | {"scale": SCALE, "kind": KIND}


def rehearse_analyses(
    suite: Path, scratch: Path, machine: Machine, config: Config, where: str
) -> list[Outcome]:
    """Returns the outcome of every table, figure and page, made of records that are made up."""
    wanted = expand(of_records(config), where)
    config = wanted.config  # without what it leaves out
    write_config(suite, config)
    count = write_records(wanted, suite / "results")
    outcomes = [Outcome("records", f"{count} made up, at full size", HOLDS)]
    extended = "extensions" in config
    rules = [*map(rule_name, config["analyses"]), *PAGE_RULES, "all"]
    rules += ["methods", "methods_report"] if extended else []
    targets = ["all", "methods"] if extended else ["all"]
    # No other rule: what is no table, figure or page is there, and must not be made
    done = snakemake(suite, scratch, machine, *targets, options=("--allowed-rules", *rules))
    logs = suite / "results" / "logs"
    for name in config["analyses"]:
        made = all((suite / file).is_file() for file in products(name).values())
        outcomes.append(product_outcome("analyses", name, made, logs / f"{name}.log"))
    pages = PAGE_RULES | ({"methods_report": EXTENSIONS_PAGE} if extended else {})
    for rule, page in pages.items():
        made = (suite / page).is_file()
        outcomes.append(product_outcome("analyses", page, made, logs / f"{rule}.log"))
    if done.returncode and all(outcome.verdict == HOLDS for outcome in outcomes):
        outcomes.append(Outcome("analyses", "all", FAILS, complaint(done.stdout)))
    return [*outcomes, typeset(suite / "results")]


def write_records(wanted: Grid, results: Path) -> int:
    """Returns how many records are under `results`: those of the grid, then what reads them."""
    count = made_up_records.write_all(wanted.specs.values(), results / "runs")
    for file, specs in wanted.jobs.items():
        if file.endswith(MANIFEST):
            path = results / Path(file).relative_to("results")
            atomic_files.write(path, manifest(specs, results / "runs"))
    if measurements(wanted.config):
        count += made_up_measurements.write_all(wanted, results)
    return count


def product_outcome(part: str, name: str, made: bool, log: Path) -> Outcome:
    """Returns whether a product is there, or the first error of its job."""
    return Outcome(part, name, HOLDS) if made else Outcome(part, name, FAILS, first_error(log))


def typeset(results: Path) -> Outcome:
    """Returns whether LaTeX sets the document of all tables."""
    if shutil.which(LATEX[0]) is None:
        how = "its program is no part of the suite; apt-get install texlive-latex-recommended"
        return Outcome("analyses", "LaTeX", ABSENT, how)
    if not (results / "tables.tex").is_file():
        return Outcome("analyses", "LaTeX", FAILS, "there is no tables.tex")
    done = subprocess.run(LATEX, cwd=results, capture_output=True, text=True)
    wrong = [line for line in done.stdout.splitlines() if line.startswith("!")]
    if done.returncode:
        return Outcome("analyses", "LaTeX", FAILS, (wrong or ["it has failed"])[0])
    return Outcome("analyses", "LaTeX", HOLDS, "tables.pdf")
