"""YAML that people hand us, read strictly."""

from pathlib import Path
from typing import Any

import yaml

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line

MOST = 1_000_000  # values in a configuration or in the specs of a job


class StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, to which a key that is given twice is a mistake."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Returns the node of a mapping, its keys as they stand in the file."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise UserError(
                    f"the key {brief(key.value)} is given twice, the second time in line "
                    f"{key.start_mark.line + 1}"
                )
            seen.add(key.value)
        return node


def read_config(config: str | Path) -> Any:
    """Returns the document in the YAML file `config`; whether it is legal is not looked at.

    Raises UserError in one line if it is no YAML, or says a thing twice.
    """
    try:
        document: Any = yaml.load(Path(config).read_bytes(), StrictLoader)
        strict_json.check(document, MOST)
    except FileNotFoundError:
        where = "" if Path(config).is_absolute() else f" in {one_line(Path.cwd())}"
        raise UserError(
            f"{one_line(config)}: there is no such configuration{where}; start in the folder of "
            "this repository, or give the whole path"
        ) from None
    except OSError as error:
        raise UserError(f"{one_line(config)}: configuration not read, {error.strerror}") from None
    except RecursionError:
        raise UserError(f"{one_line(config)}: not YAML, it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        reason = error.problem or error.context
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise UserError(f"{one_line(config)}: not YAML, {one_line(reason)}{where}") from None
    except Exception as error:  # YAML's types raise anything at all, e.g. for a 13th month
        raise UserError(f"{one_line(config)}: not YAML, {first_line(error)}") from None
    return document
