"""Errors that are the user's to mend; every other exception is a fault of ours."""

from vpbench.common.messages import one_line


class UserError(ValueError):
    """What the user can mend; its message is one line: what was wrong, what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


class RecordError(UserError):
    """A record or manifest that cannot be read or trusted."""
