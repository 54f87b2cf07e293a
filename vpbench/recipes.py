"""Recipes: the settings of a method for a backbone, as a configuration file gives them."""

from pathlib import Path

import yaml

from vpbench import catalogue


def read_config(config):
    """Returns the document in the YAML file `config`; whether it is legal is not looked at."""
    try:
        return yaml.safe_load(Path(config).read_text())
    except OSError as error:
        raise ValueError(f"{config}: configuration not read, {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{config}: not YAML, {str(error).splitlines()[0]}") from None


def load_recipe(config, method, backbone, **changes):
    """Returns the settings of `method` on `backbone` from the YAML file `config`, with `changes`.

    Raises ValueError in one line if the file, a key or a value is not legal.
    """
    document = read_config(config)
    complaint = catalogue.complaint(document, catalogue.config_schema(), str(config))
    if complaint:
        raise ValueError(complaint)
    if method not in document["recipes"]:
        raise ValueError(f"{config} has no recipe for {method!r}")
    settings = catalogue.merge_settings(document["recipes"], method, backbone) | changes
    complaint = catalogue.complaint(
        settings, catalogue.settings_schema(method, complete=True), f"{method} on {backbone}"
    )
    if complaint:
        raise ValueError(complaint)
    return settings
