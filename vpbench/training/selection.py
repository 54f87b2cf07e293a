"""The choice of an epoch: the last, the best on validation, the best on test."""


def select(selection, entry):
    """Returns `selection` after one more (epoch, state, evaluations), which is now the last.

    Only what is selected is kept: a thousand epochs take no more memory than three.
    """

    def best(name, split):
        if name not in selection or split not in entry[2]:
            return entry
        old, new = (each[2][split].metrics["accuracy"] for each in (selection[name], entry))
        return entry if new > old else selection[name]

    return {
        "last": entry,
        "best_validation": best("best_validation", "validation"),
        "best_test": best("best_test", "test"),
    }
