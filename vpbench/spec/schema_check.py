"""Whether a document obeys a schema, said in one line."""

from collections.abc import Callable
from functools import cache
from typing import Any

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line
from vpbench.common.strict_yaml import MOST
from vpbench.spec.schema import Schema


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
    text = error.message.replace(repr(error.instance), brief(error.instance))
    if error.validator == "additionalProperties" and "properties" in error.schema:
        legal = ", ".join(sorted(error.schema["properties"]))
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        text = f"unknown key {', '.join(map(repr, unknown))}; the legal keys are: {legal}"
    elif error.validator == "enum":
        legal = ", ".join(map(str, error.validator_value))
        text = f"{brief(error.instance)} is not legal; choose one of: {legal}"
    elif error.validator == "type" and type(error.instance) in (int, float):
        if not strict_json.computable(error.instance):
            text = f"{brief(error.instance)} is too large a number, or none"
    return one_line(f"{where}{' at ' + path if path else ''}: {text}")
