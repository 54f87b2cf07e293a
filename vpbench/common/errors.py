"""Errors that are the user's to mend."""

from vpbench.common.messages import one_line


class RecordError(ValueError):
    """A record or manifest that cannot be written, read or trusted; its message is one line."""

    def __init__(self, message):
        super().__init__(one_line(message))
