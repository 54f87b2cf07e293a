"""Whether a document obeys a schema, said in one line."""

from collections.abc import Callable
from functools import cache
from typing import Any

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, instead, one_line
from vpbench.common.paths import DEVICE, DEVICES
from vpbench.common.strict_yaml import MOST
from vpbench.spec.schema import Schema

KEYS = "docs/configuration.md explains all keys"
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def check(document: Any, schema: Schema, where: str) -> None:
    """Raises UserError, in one line, unless `document` obeys `schema`."""
    line = complaint(document, schema, where)
    if line:
        raise UserError(line)


@cache
def strict_validator() -> Any:
    """Returns the class of validators to which 7.0 is no integer, as it is none to torch.

    Nor is a number one that is not finite, or that fits no array.
    """
    import jsonschema  # when something is checked: it takes a tenth of a second

    def number(kind: Any) -> Callable[[Any, Any], bool]:
        def check(_: Any, value: Any) -> bool:
            plain = isinstance(value, kind) and not isinstance(value, bool)
            return plain and strict_json.computable(value)

        return check

    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": number(int), "number": number(int | float)}
    )
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=checker)


def complaint(document: Any, schema: Schema, where: str) -> str | None:
    """Returns None if `document` obeys `schema`, else one line: what, where, and what is legal."""
    import jsonschema  # likewise

    try:
        strict_json.check(document, MOST)
    except UserError as broken:
        return one_line(f"{where}: {broken}")
    errors = strict_validator()(schema).iter_errors(document)
    error = jsonschema.exceptions.best_match(errors)
    if error is None:
        return None
    path = ".".join(str(part) for part in error.absolute_path)
    return one_line(f"{where}{' at ' + path if path else ''}: {words(error)}")


def words(error: Any) -> str:
    """Returns what jsonschema's `error` complains of, and what is legal instead."""
    shown, wanted = brief(error.instance), error.validator_value
    if error.validator == "additionalProperties" and "properties" in error.schema:
        legal = sorted(error.schema["properties"])
        unknown, *more = sorted(set(error.instance) - set(legal))
        others = f", and {len(more)} more" if more else ""
        return f"unknown key {brief(unknown)}{others}; {instead(unknown, legal, KEYS)}"
    if error.validator == "required":
        missing = [repr(key) for key in wanted if key not in error.instance]
        return f"it lacks {', '.join(missing)}; give {'it' if len(missing) == 1 else 'them'}"
    if error.validator == "enum":
        return f"{shown} is not legal; {instead(error.instance, wanted)}"
    if error.validator == "const":
        return f"it is {shown}, this version reads {brief(wanted)}; write it anew"
    if error.validator == "pattern" and wanted == DEVICE:
        return f"{shown} is no device; choose {DEVICES}"
    if error.validator == "pattern":
        return f"{shown} is no plain name; use a-z, 0-9 and _ (in a scale also -)"
    if error.validator == "type":
        number = type(error.instance) in (int, float)
        if number and not strict_json.computable(error.instance):
            return f"{shown} is too large a number, or none"
        types = [wanted] if isinstance(wanted, str) else wanted
        return f"it is {shown}, expected {' or '.join(TYPES[each] for each in types)}"
    return error.message.replace(repr(error.instance), shown)
