"""How people see a mistake."""

import pytest


def refused(kind, action, *arguments):
    """Returns the one line with which `action(*arguments)` raises exactly the error `kind`."""
    with pytest.raises(kind) as error:
        action(*arguments)
    assert error.type is kind
    assert "\n" not in str(error.value)
    return str(error.value)
