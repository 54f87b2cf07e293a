"""Verification: every record and every table of a results folder is checked again."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line
from vpbench.records import reading, reference
from vpbench.records.paths import MANIFEST, jobs_of, record_path, specs_by_path
from vpbench.records.schema import difference
from vpbench.spec.grid import Grid, job_files, measurement_files, sliced
from vpbench.spec.products import within
from vpbench.spec.result_files import RECORD
from vpbench.verify.contents import ABRIDGED, Record, check_measurement, check_run, read
from vpbench.verify.origins import check_again, check_weights, origins
from vpbench.verify.tables import check_tables

CARD = ".prompt.json"  # how the name of a prompt's card ends
FOLDERS = ("runs", "measurements")  # where records are
Records = dict[Path, Record]


class Problem(NamedTuple):
    """A file that is wrong or missing, and one line that names it and says why."""

    kind: str  # wrong, missing
    path: str
    line: str


class Report(NamedTuple):
    """What a verification found; all is well where there are no problems."""

    problems: list[Problem]
    notes: list[str]  # what is no problem, a line each
    counts: Counter  # what was checked

    def add(self, path: str | Path, line: str, kind: str = "wrong") -> None:
        """Adds a problem."""
        self.problems.append(Problem(kind, str(path), one_line(line)))

    def sound(self, records: Records) -> Records:
        """Returns those of `records` of which nothing bad is known."""
        bad = {problem.path for problem in self.problems}
        return {path: record for path, record in records.items() if str(path) not in bad}


def verify(
    results: str | Path,
    wanted: Grid,
    where: str,
    deep: bool = False,
    device: torch.device | str = "cpu",
    tables: bool = True,
) -> Report:
    """Returns the `Report` on the folder `results`, of which the `Grid` wanted asks.

    `where` names the configuration. Every record is compared with the spec that is asked for, with
    its side files and with the other records, every table is made again. With `deep` the images
    are loaded or painted again too, and the visual and text prompts evaluated on `device`; without
    `tables` only records are checked. Nothing in the folder is changed. Raises UserError, in one
    line, if it has no run of this scale.
    """
    results, scale = Path(results), wanted.config["scale"]
    if not (results / "runs" / scale).is_dir():
        there = ", ".join(sorted(path.name for path in results.glob("runs/*"))) or "none"
        raise UserError(
            f"{results}: has no runs of the scale {scale} of {where} (but of: {there}); "
            "choose the configuration that made it with --configfile"
        )
    if wanted.config["analyses"] and not Path("analysis").is_dir():
        raise UserError("analysis: not there; call verify in the folder of the suite")
    report, asked = Report([], [], Counter()), specs_by_path(wanted, results)
    records = read_records(report, results)
    compare_specs(report, records, asked, results, where)
    check_contents(report, records)
    check_origins(report, records, deep, device)
    check_jobs(report, records, wanted, results, where)
    for path in sorted(results.rglob(f"*{atomic_files.PART}")):
        report.add(path, f"{path}: was never finished; delete it, unless a job is writing it")
    if tables:
        recompute_tables(report, wanted, results)
    return report


def read_records(report: Report, results: Path) -> Records:
    """Returns path -> record of all records that can be read, with their `file`.

    Where the folder is an unpacked reference they say so, and a note that less can be checked.
    """
    records, abridged = {}, {ABRIDGED: True} if reference.is_unpacked(results) else {}
    if abridged:
        report.notes.append(
            f"{results}: a reference that was unpacked; not kept, and not checked, are "
            f"{reference.NOT_KEPT}"
        )
    for folder in FOLDERS:
        for path in sorted((results / folder).rglob("*.json")):
            if path.name.endswith((MANIFEST, CARD)):
                continue
            report.counts[folder] += 1
            record, line = attempt(path, read, path)
            if line:
                report.add(path, line)
            else:
                records[path] = record | abridged
    return records


def attempt(path: Path, check: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """Returns (what `check` returns, None), or (None, one line) where it refuses."""
    try:
        return check(*arguments), None
    except ValueError as error:
        # Ours is one line already, whole: the paths in it may be long.
        line = str(error) if isinstance(error, UserError) else first_line(error)
        return None, line if str(path.with_suffix("")) in line else f"{path}: {line}"
    except Exception as error:  # a damaged file breaks a reader in any way; the rest is read still
        return None, f"{path}: not understood, {type(error).__name__}: {first_line(error)}"


def compare_specs(
    report: Report,
    records: Records,
    asked: dict[Path, dict[str, Any]],
    results: Path,
    where: str,
) -> None:
    """Reports records that are elsewhere or made from another spec.

    Those that nothing asks for are counted in the notes.
    """
    others: Counter[tuple[str, ...]] = Counter()
    for path, record in records.items():
        home = home_of(path, record, results)
        differing = difference(record["spec"], asked.get(path, record["spec"]))
        if home != path:
            report.add(path, f"{path}: holds the record of {home}; move it there, or delete it")
        elif differing:
            key, mine, expected = differing
            report.add(path, f"{path}: {key} is {brief(mine)}, but {brief(expected)} in {where}")
        elif path not in asked:
            others[path.relative_to(results).parts[:3]] += 1
    for parts, count in others.items():
        note = f"{Path(results, *parts)}: {count} records that {where} does not ask for"
        report.notes.append(note)
    if others:
        report.counts["not asked for"] = others.total()


def home_of(path: Path, record: Record, results: Path) -> Path:
    """Returns where a record belongs that was found at `path`."""
    return record_path(record["spec"], results / path.relative_to(results).parts[0])


def check_contents(report: Report, records: Records) -> None:
    """Reports records that do not agree with their side files."""
    for path, record in report.sound(records).items():
        check = check_measurement if "measurement" in record["spec"] else check_run
        _, line = attempt(path, check, record)
        if line:
            report.add(path, line)


def check_origins(report: Report, records: Records, deep: bool, device: torch.device | str) -> None:
    """Reports runs with other weights or images than they should have."""
    runs = {path: run for path, run in records.items() if "measurement" not in run["spec"]}
    unknown: Counter[str] = Counter()
    for path, run in report.sound(runs).items():
        known, line = attempt(path, check_weights, run)
        if line:
            report.add(path, line)
        elif not known:
            unknown[run["spec"]["backbone"]] += 1
    for backbone, count in unknown.items():
        report.notes.append(
            f"{backbone}: its weights are not here, {count} runs were not compared with them"
        )
    for path, line in disagreeing(report.sound(runs)):
        report.add(path, line)
    if not deep:
        return
    for path, run in tqdm(report.sound(runs).items(), desc="again", mininterval=5):
        again, line = attempt(path, check_again, run, device)
        if line:
            report.add(path, line)
        report.counts["evaluated again"] += bool(again)


def disagreeing(runs: Records) -> Iterator[tuple[Path, str]]:
    """Yields (path, line) of the runs with other weights or images than most of their kind."""
    groups: dict[tuple[str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path, run in runs.items():
        for key, value in origins(run).items():
            groups[key][value].append(path)
    named = set()
    for (kind, _), values in groups.items():
        usual = max(values, key=lambda value: len(values[value]))
        for value, paths in values.items():
            for path in paths:
                if value != usual and path not in named:
                    named.add(path)
                    others = f"in {len(values[usual])} other runs, such as {values[usual][0]}"
                    yield path, f"{path}: {kind} is {value[:12]}, but {usual[:12]} {others}"


def check_jobs(report: Report, records: Records, wanted: Grid, results: Path, where: str) -> None:
    """Reports jobs that are not done or have a wrong manifest."""
    homes = {home_of(path, record, results) for path, record in records.items()}
    asked = set()
    for file, specs in jobs_of(wanted).items():
        job = Path(within(file, results))
        root = results / Path(file).relative_to("results").parts[0]
        asked.add(job)
        paths = [record_path(spec, root) for spec in specs]
        gone = [path for path in paths if path not in homes and not path.exists()]
        if not job.name.endswith(MANIFEST):
            for path in gone:
                report.add(path, f"{path}: is missing, {where} asks for it", "missing")
        elif not job.exists():
            line = f"{job}: is missing, and {len(gone)} of its {len(specs)} records are"
            report.add(job, line, "missing")
        else:
            _, wrong = attempt(job, check_manifest, job, specs, where)
            if wrong:
                report.add(job, wrong)
            for path in gone:
                report.add(path, f"{path}: is missing, though {job} lists it", "missing")
    for path in sorted(path for each in FOLDERS for path in (results / each).rglob(f"*{MANIFEST}")):
        report.counts["manifests"] += 1
        if path not in asked:
            report.notes.append(f"{path}: {where} does not ask for this job")


def check_manifest(path: Path, specs: list[dict[str, Any]], where: str) -> None:
    """Raises UserError unless a manifest lists exactly these specs, each where its record is."""
    listed = reading.read_manifest(path)["records"]
    if len(listed) != len(specs):
        raise UserError(f"{path}: lists {len(listed)} records, {where} asks for {len(specs)}")
    for entry, spec in zip(listed, specs, strict=True):
        place = record_path(spec, "").as_posix()
        differing = difference(entry["spec"], spec)
        if differing:
            key, said, expected = differing
            raise UserError(
                f"{path}: {key} of {place} is {brief(said)}, but {brief(expected)} in {where}"
            )
        if not str(entry["path"]).endswith(place):
            raise UserError(f"{path}: gives {brief(entry['path'])} as the path of {place}")


def recompute_tables(report: Report, wanted: Grid, results: Path) -> None:
    """Reports tables that are not what the records give.

    Those that read something wrong or missing are left out: they could only repeat it.
    """
    bad = {problem.path for problem in report.problems}
    names = [name for name in wanted.config["analyses"] if not bad & read_by(wanted, name, results)]
    left_out = len(wanted.config["analyses"]) - len(names)
    if left_out:
        report.notes.append(
            f"{left_out} tables and figures, and what is made of them, were not made again: "
            "they read what is wrong or missing"
        )
    with tempfile.TemporaryDirectory() as made:
        for path, line in check_tables(wanted, results, made, names):
            report.counts["tables"] += 1
            if line:
                report.add(path, f"{path}: {line}", "wrong" if Path(path).exists() else "missing")


def read_by(wanted: Grid, name: str, results: Path) -> set[str]:
    """Returns the paths of all records and manifests that an analysis reads."""
    slice_, measured = wanted.config["analyses"][name], measurement_files(wanted, name)
    files = [RECORD.format(**spec) for spec in sliced(wanted, slice_)]
    paths = {within(path, results) for path in [*files, *job_files(wanted, slice_)]}
    paths |= {within(path, results) for path in measured}
    folder = results / "measurements"
    specs = [spec for listed in measured.values() for spec in listed]
    return paths | {record_path(spec, folder).as_posix() for spec in specs}


def lines(report: Report, results: str | Path, where: str) -> list[str]:
    """Returns the report for people: a line per problem, then the notes, then what was checked."""
    shown = [problem.line for problem in report.problems]
    shown += [f"note: {note}" for note in report.notes]
    counted = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count)
    kinds = Counter(problem.kind for problem in report.problems)
    verdict = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing is wrong"
    return [*shown, f"{results} against {where}: {counted}: {verdict}"]


def document(report: Report, results: str | Path, where: str) -> dict[str, Any]:
    """Returns the report for machines, as JSON takes it."""
    return {
        "results": str(results),
        "configuration": str(where),
        "counts": dict(report.counts),
        "problems": [problem._asdict() for problem in report.problems],
        "notes": report.notes,
    }
