"""The code that made records: its commit, where all must be of one."""

from collections.abc import Iterable
from typing import Any

from vpbench.common.errors import RecordError
from vpbench.records.schema import CHANGED


def one_commit(records: Iterable[dict[str, Any]]) -> None:
    """Raises RecordError unless all records were made by one commit of the code, as it was.

    The error names both files. A record whose code is not known, or had changes that are in no
    commit, could not be made again.
    """
    first: dict[str, Any] | None = None
    for record in records:
        said = record.get("commit")
        if said is None:
            raise RecordError(
                f"{record['file']}: it holds no commit of the code that made it; run it again in a "
                "git checkout"
            )
        if said.endswith(CHANGED):
            raise RecordError(
                f"{record['file']}: made by {said[:12]} with changes that are in no commit; commit "
                "them and run it again"
            )
        first = first or record
        if said != first["commit"]:
            raise RecordError(
                f"{first['file']} and {record['file']}: made by different commits of the code "
                f"({first['commit'][:12]} and {said[:12]}); run one of them again"
            )
