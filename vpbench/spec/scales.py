"""The scales: what kind of data and models a configuration is about."""

SCALES = (
    *("lab", "smoke", "search", "speedrun"),
    *("desk", "desk-speedrun", "paper", "paper-fast"),
)


PAINTED = ("lab", "smoke", "search", "speedrun")  # the scales whose datasets are twins


OWN_DATASETS = ("desk", "desk-speedrun")  # the scales whose datasets are whatever the user names
