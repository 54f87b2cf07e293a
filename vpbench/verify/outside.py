"""Whether a record says of parts from installed packages what these are here."""

from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.implementations import source_of
from vpbench.common.messages import brief
from vpbench.experiment.outside_parts import code_of
from vpbench.spec.parts import parts_of


def check_outside(record: dict[str, Any]) -> None:
    """Raises UserError unless a record names the code of all parts that packages bring, as it is
    installed here."""
    said = {each["part"]: each for each in record.get("outside", ())}
    parts = parts_of(record["spec"]).items()
    brought = {part: of for part, of in parts if not of[0].is_ours(of[1])}
    for part in said.keys() - brought.keys():
        raise UserError(f"{record['file']}: outside: {brief(part)} is the suite's own here")
    for part, (catalogue, name) in brought.items():
        if part not in said:
            package = " ".join(catalogue.package(name))
            raise UserError(f"{record['file']}: outside lacks {part} {name} of {package}")
        here = source_of(code_of(catalogue[name]))
        for key, value in here.items():
            if said[part][key] != value:
                then = f"{said[part]['distribution']} {said[part]['version']}"
                raise UserError(
                    f"{record['file']}: outside: {key} of {part} {name} is {brief(said[part][key])}"
                    f", here {brief(value)}; install {then} as it was, or run it again"
                )
