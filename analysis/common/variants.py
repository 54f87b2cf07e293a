"""Runs that differ only in some settings of the recipe: which belong together, which do not."""

from collections.abc import Iterable, Sequence
from typing import Any

from analysis.common.aliases import Cell, Groups, Record
from analysis.common.origin import same_origin
from vpbench.common.errors import RecordError
from vpbench.records.schema import difference


def single(records: list[Record], key: str) -> str | None:
    """Returns the one task, backbone, ... that all `records` have in their spec; None of none."""
    values = sorted({record["spec"][key] for record in records})
    if len(values) > 1:
        raise RecordError(
            f"records of {len(values)} {key}s, {', '.join(values)}: this analysis is about one; "
            f"select it with {key}s in its slice"
        )
    return values[0] if values else None


def of_method(records: Iterable[Record], method: str) -> list[Record]:
    """Returns the records of a method."""
    return [record for record in records if record["spec"]["method"] == method]


def setting(record: Record, key: str) -> Any:
    """Returns a setting of a run, None where the run does not have it."""
    return record["spec"]["settings"].get(key)


def alike(
    records: Iterable[Record], varied: Sequence[str], others: Iterable[Record] = ()
) -> list[Record]:
    """Returns `records` with those of `others` that differ from them only in settings `varied`.

    Among `records` themselves any other difference is an error: a figure that mixed, say, short
    and long training would say nothing about what it varies.
    """
    records = list(records)
    if not records:
        return list(others)
    first = without(records[0], varied)
    for record in records:
        differing = difference(without(record, varied), first)
        if differing:
            raise RecordError(
                f"runs of {records[0]['spec']['variant']} and {record['spec']['variant']} differ "
                f"in {differing[0]} too: {differing[2]!r} and {differing[1]!r}; select one kind"
            )
    return records + [record for record in others if without(record, varied) == first]


def without(record: Record, varied: Sequence[str]) -> dict[str, Any]:
    """Returns the spec of a run without its seed, its variant's name and the settings `varied`."""
    spec = {key: value for key, value in record["spec"].items() if key not in ("seed", "variant")}
    kept = {key: value for key, value in spec["settings"].items() if key not in varied}
    return spec | {"settings": kept}


def by_settings(records: Iterable[Record], keys: Sequence[str]) -> Groups:
    """Returns (values of the settings `keys`) -> its records, one per seed and in their order.

    A run that two variants ask for counts once.
    """
    groups: dict[Cell, dict[int, Record]] = {}
    for record in same_origin(records):
        values = tuple(map(hashable, (setting(record, key) for key in keys)))
        groups.setdefault(values, {}).setdefault(record["spec"]["seed"], record)
    return {values: [group[seed] for seed in sorted(group)] for values, group in groups.items()}


def hashable(value: Any) -> Any:
    """Returns a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def validation_accuracy(records: list[Record]) -> float | None:
    """Returns the mean validation accuracy (%) over seeds, None where a run has no validation."""
    looks = [record["selection"][record["rule"]]["validation"] for record in records]
    if None in looks:
        return None
    return sum(look["accuracy"] for look in looks) / len(looks)


def zero_shot(records: list[Record]) -> Record | None:
    """Returns the run of the task's own text prompt alone, None if it was not run."""
    plain = own_text(of_method(records, "text_prompt"))
    return plain[0] if plain else None  # nothing in it depends on the seed


def own_text(records: list[Record]) -> list[Record]:
    """Returns the runs with the task's own text prompt and class names."""
    keys = "text_prompt", "class_names"
    return [record for record in records if all(setting(record, key) is None for key in keys)]
