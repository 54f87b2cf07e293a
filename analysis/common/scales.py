"""The scale of records: the name that their configuration gave it, and its kind."""

from collections.abc import Iterable
from typing import NamedTuple

from analysis.common.aliases import Record
from vpbench.common.errors import RecordError
from vpbench.spec.scales import scale_title


class Scale(NamedTuple):
    """A scale; that of no records has neither name nor kind."""

    name: str | None = None
    kind: str | None = None  # one of vpbench.spec.scales.KINDS

    @property
    def title(self) -> str:
        """What it is called in tables and figures."""
        return scale_title(self.name, self.kind)

    @property
    def painted(self) -> bool:
        """Whether its datasets are twins of the paper's."""
        return self.kind == "twins"

    @property
    def chosen_datasets(self) -> bool:
        """Whether the user chose its datasets, so that none of the paper's is lacking."""
        return self.kind == "real"


def scale_in(record: Record) -> Scale:
    """Returns the scale of a record."""
    return Scale(record["spec"]["scale"], record["spec"]["kind"])


def scale_of(records: Iterable[Record]) -> Scale:
    """Returns the scale of all `records`; RecordError if they are of two."""
    scales = sorted(set(map(scale_in, records)))
    if len(scales) > 1:
        first, second = (f"{scale.name} ({scale.kind})" for scale in scales[:2])
        raise RecordError(f"records of two scales: {first} and {second}; give one")
    return scales[0] if scales else Scale()
