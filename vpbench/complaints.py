"""What other people's exceptions say, short enough for a message of one line."""


def first_line(error):
    """Returns the first line of an exception's message, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
