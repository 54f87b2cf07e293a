"""The files that analyses and pages make, and the arguments they are called with."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpbench.common.hashing import canonical, digest
from vpbench.spec.aliases import Slice
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import (
    Grid,
    job_files,
    measurement_files,
    measurement_paths,
    measurement_specs,
    selection,
    sliced,
)
from vpbench.spec.result_files import MEASURED, RECORD

REQUESTS = "results/requests"  # what jobs are asked for: a system takes no argument above 128 KiB
PAGES = ("results/claims.csv", "results/tables.tex", "results/report.html")
EXTENSIONS_PAGE = "results/methods.html"  # of the methods around the paper


def digests(grid: Grid, name: str, slice_: Slice) -> dict[str, str]:
    """Returns, for each file that an analysis reads, the SHA-256 of the specs it must come from."""
    read = {path: grid.job_digests[path] for path in job_files(grid, slice_)}
    measured = measurement_files(grid, name).items()
    return read | {path: digest(specs) for path, specs in measured}


def rule_name(name: str) -> str:
    """Returns what the rule of an analysis is called: as the analysis, unless a target is."""
    return "methods_table" if name == "methods" else name


def products(name: str, results: str | Path = "results") -> dict[str, str]:
    """Returns the files an analysis makes: a table in three formats, a figure in two and its csv,
    or the csv alone."""
    files = {"csv": f"{results}/{name}.csv"}
    if ANALYSES[name].kind == "csv":
        return files
    if ANALYSES[name].kind == "table":
        return files | {"markdown": f"{results}/{name}.md", "latex": f"{results}/{name}.tex"}
    return files | {suffix: f"{results}/figures/{name}.{suffix}" for suffix in ("pdf", "png")}


def within(path: str | Path, results: str | Path) -> str:
    """Returns where a file of `results/` is if that folder is at `results`."""
    return Path(results, Path(path).relative_to("results")).as_posix()


def analysis_arguments(
    grid: Grid, name: str, results: str | Path = "results", out: str | Path = "results"
) -> list[str]:
    """Returns what follows `python -m analysis name`.

    It reads the records of the folder `results` and writes its products into the folder `out`.
    """

    def here(paths: Iterable[str]) -> list[str]:
        return [within(path, results) for path in paths]

    slice_ = grid.config["analyses"][name]
    specs = digests(grid, name, slice_)
    expected = dict(zip(here(specs), specs.values(), strict=True))
    arguments = ["--runs", *here(job_files(grid, slice_))]
    arguments += ["--select", canonical(selection(grid, slice_))]
    arguments += ["--digests", canonical(expected)]
    measured = measurement_paths(grid, name) if ANALYSES[name].reads_measurements else []
    if measured:
        arguments += ["--measurements", *here(measured)]
    made = products(name, out)
    figures = ["--figures", str(Path(made["png"]).parent)] if "png" in made else []
    one_commit = ["--one-commit"] if grid.config.get("one_commit") else []
    return [*arguments, *one_commit, "--out", made["csv"], *figures]


def claims_arguments(grid: Grid, results: str | Path = "results") -> list[str]:
    """Returns what follows `python -m analysis claims`, to read and write the folder `results`."""
    names = ["--names", *grid.config["analyses"]]
    scale = ["--scale", grid.config["scale"], "--kind", grid.config["kind"]]
    out = ["--out", within("results/claims.csv", results)]
    return ["--results", str(results), *names, *scale, *out]


def document_arguments(grid: Grid, results: str | Path = "results") -> list[str]:
    """Returns what follows `python -m analysis latex_document`, for the tables in `results`."""
    made = (products(name, results) for name in grid.config["analyses"])
    tables = [files["latex"] for files in made if "latex" in files]
    return ["--tables", *tables, "--out", within("results/tables.tex", results)]


def report_arguments(
    grid: Grid, configs: Iterable[str], extensions: bool = False, results: str | Path = "results"
) -> list[str]:
    """Returns what follows `python -m analysis report`: of all analyses, or of the extensions.

    `configs` are the files of the configuration. It reads and writes the folder `results`.
    """
    names = grid.config.get("extensions", []) if extensions else list(grid.config["analyses"])
    slices = [grid.config["analyses"][name] for name in names]
    runs = [path for slice_ in slices for path in job_files(grid, slice_)]
    if not extensions:
        runs = list(grid.jobs)
        for name in measurements(grid.config):
            runs += measurement_paths(grid, name)
    read = [within(path, results) for path in dict.fromkeys(runs)]
    arguments = ["--results", str(results), "--names", *names, "--runs", *read]
    page = within(EXTENSIONS_PAGE if extensions else PAGES[-1], results)
    options = ["--extensions"] if extensions else []
    return [*arguments, "--config", *configs, *options, "--out", page]


def partial_request(grid: Grid, configs: Iterable[str]) -> dict[str, Any]:
    """Returns what `python -m analysis partial` is asked for: all analyses, of what is there.

    `records` maps the paths of all records, which may be missing, to the digest of their spec, and
    `analyses` a name to those that it reads. No manifest is read: it comes after its last record.
    """
    config = grid.config
    measured = {name: measurement_specs(grid, name) for name in measurements(config)}
    specs = [spec for each in measured.values() for spec in each]
    records = grid.specs | {MEASURED.format(**spec): spec for spec in specs}

    def read(name: str) -> dict[str, list[str]]:
        runs = sliced(grid, config["analyses"][name])
        beside = measured.get(name, []) if ANALYSES[name].reads_measurements else []
        return {
            "runs": [RECORD.format(**run) for run in runs],
            "measurements": [MEASURED.format(**spec) for spec in beside],
        }

    return {
        "scale": config["scale"],
        "kind": config["kind"],
        "one_commit": config.get("one_commit", False),
        "configs": [str(path) for path in configs],
        "records": {path: digest([spec]) for path, spec in records.items()},
        "analyses": {name: read(name) for name in config["analyses"]},
        "all": {
            "runs": list(grid.specs),
            "measurements": [MEASURED.format(**spec) for spec in specs],
        },
    }


def request_text(arguments: Iterable[str]) -> str:
    """Returns arguments as the text of a file, a line each: `python -m analysis NAME @FILE`."""
    return "".join(f"{argument}\n" for argument in arguments)


def request_file(name: str, text: str) -> str:
    """Returns where the request `text` called `name` is: another text is in another file."""
    path = Path(REQUESTS, name)
    told = hashlib.sha256(text.encode()).hexdigest()[:16]
    return path.with_name(f"{path.stem}.{told}{path.suffix}").as_posix()
