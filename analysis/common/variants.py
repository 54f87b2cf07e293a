"""Runs that differ only in some settings of the recipe: which belong together, which do not."""

from analysis.common.origin import same_origin
from vpbench.common.errors import RecordError
from vpbench.records.schema import difference


def single(records, key):
    """Returns the one task, backbone, ... that all `records` have in their spec; None of none."""
    values = sorted({record["spec"][key] for record in records})
    if len(values) > 1:
        raise RecordError(
            f"records of {len(values)} {key}s, {', '.join(values)}: this analysis is about one; "
            f"select it with {key}s in its slice"
        )
    return values[0] if values else None


def of_method(records, method):
    """Returns the records of a method."""
    return [record for record in records if record["spec"]["method"] == method]


def setting(record, key):
    """Returns a setting of a run, None where the run does not have it."""
    return record["spec"]["settings"].get(key)


def alike(records, varied, others=()):
    """Returns `records` with those of `others` that differ from them only in settings `varied`.

    Among `records` themselves any other difference is an error: a figure that mixed, say, short
    and long training would say nothing about what it varies.
    """
    records = list(records)
    if not records:
        return list(others)
    first = without(records[0], varied)
    for record in records:
        found = difference(without(record, varied), first)
        if found:
            raise RecordError(
                f"runs of {records[0]['spec']['variant']} and {record['spec']['variant']} differ "
                f"in {found[0]} too: {found[2]!r} and {found[1]!r}; select one kind"
            )
    return records + [record for record in others if without(record, varied) == first]


def without(record, varied):
    """Returns the spec of a run without its seed, its variant's name and the settings `varied`."""
    spec = {key: value for key, value in record["spec"].items() if key not in ("seed", "variant")}
    kept = {key: value for key, value in spec["settings"].items() if key not in varied}
    return spec | {"settings": kept}


def by_settings(records, keys):
    """Returns (values of the settings `keys`) -> its records, one per seed and in their order.

    A run that two variants ask for counts once.
    """
    groups = {}
    for record in same_origin(records):
        values = tuple(map(hashable, (setting(record, key) for key in keys)))
        groups.setdefault(values, {}).setdefault(record["spec"]["seed"], record)
    return {values: [group[seed] for seed in sorted(group)] for values, group in groups.items()}


def hashable(value):
    """Returns a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def validation_accuracy(records):
    """Returns the mean validation accuracy (%) over seeds, None where a run has no validation."""
    looks = [record["selection"][record["rule"]]["validation"] for record in records]
    if None in looks:
        return None
    return sum(look["accuracy"] for look in looks) / len(looks)


def zero_shot(records):
    """Returns the run of the task's own text prompt alone, None if it was not run."""
    plain = own_text(of_method(records, "text_prompt"))
    return plain[0] if plain else None  # nothing in it depends on the seed


def own_text(records):
    """Returns the runs with the task's own text prompt and class names."""
    keys = "text_prompt", "class_names"
    return [record for record in records if all(setting(record, key) is None for key in keys)]
