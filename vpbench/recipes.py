"""Recipes: the settings of a method for a backbone, as a configuration file gives them."""

from pathlib import Path

import yaml

from vpbench import catalogue, documents
from vpbench.complaints import brief, first_line, one_line


class StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, to which a key that is given twice is a mistake."""

    def compose_mapping_node(self, anchor):
        """Returns the node of a mapping, its keys as they stand in the file."""
        node, seen = super().compose_mapping_node(anchor), set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ValueError(
                    f"the key {brief(key.value)} is given twice, the second time in line "
                    f"{key.start_mark.line + 1}"
                )
            seen.add(key.value)
        return node


def read_config(config):
    """Returns the document in the YAML file `config`; whether it is legal is not looked at.

    Raises ValueError in one line if it is no YAML, or says a thing twice.
    """
    try:
        document = yaml.load(Path(config).read_bytes(), StrictLoader)
        documents.check(document, catalogue.MOST)
    except OSError as error:
        raise ValueError(f"{one_line(config)}: configuration not read, {error.strerror}") from None
    except RecursionError:
        raise ValueError(f"{one_line(config)}: not YAML, it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        reason = error.problem or error.context
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"{one_line(config)}: not YAML, {one_line(reason)}{where}") from None
    except Exception as error:  # YAML's types raise anything at all, e.g. for a 13th month
        raise ValueError(f"{one_line(config)}: not YAML, {first_line(error)}") from None
    return document


def read_configs(configs):
    """Returns (the document that YAML files make together, their names); later ones change earlier.

    They are put together as Snakemake does it with several --configfile.
    """
    merged = read_config(configs[0])
    for config in configs[1:]:
        changes = read_config(config)
        if not (isinstance(merged, dict) and isinstance(changes, dict)):
            raise ValueError(f"{one_line(config)}: only mappings can be put together")
        merged = changed(merged, changes)
    return merged, ", ".join(map(str, configs))


def changed(document, changes):
    """Returns a mapping with `changes`, which go into mappings within it and replace all else."""
    both = {key: document[key] for key in changes if isinstance(document.get(key), dict)}
    return document | {
        key: changed(both[key], value) if key in both and isinstance(value, dict) else value
        for key, value in changes.items()
    }


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
