"""Recipes: the settings of a method for a backbone, as a configuration file gives them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vpbench.common.errors import UserError
from vpbench.common.messages import instead, nearest, one_line
from vpbench.common.strict_yaml import read_config
from vpbench.spec import schema_check
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.config_schema import config_schema
from vpbench.spec.methods import METHODS, merge_settings
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings, defaults

PACKAGE = Path(__file__).parents[1]
HOMES = (PACKAGE, PACKAGE.parent)  # of the folder config: in a wheel, in a clone of the repository
LAB, DESK, PAPER = ("config/lab.yaml",), ("config/desk.yaml",), ("config/paper.yaml",)
LAB_METHODS, PAPER_METHODS = (
    (*LAB, "config/methods/lab.yaml"),
    (*PAPER, "config/methods/paper.yaml"),
)
RECIPES = {  # where a backbone of the catalogue is built -> the files of its recipes, in turn
    "vpbench.lab.": (LAB, LAB_METHODS),
    "vpbench.models.hub_backbones": (PAPER, PAPER_METHODS),
}
ANY_RECIPES = (DESK, LAB_METHODS)  # those of every other backbone, for images of any size
TEXT = "vision_language"
PIXELS = ("size", "image_side")  # settings that grow with the images


class Recipe(NamedTuple):
    """The settings of a method for a backbone, and the names of the files they come from."""

    settings: Settings
    config: str


def shipped_config(name: str | Path) -> Path:
    """Returns the path of a configuration: of the file `name`, or of the shipped one of that name.

    So config/lab.yaml is found from any folder, in a clone as in what a wheel has installed.
    """
    places = [Path(name)]
    if places[0].parts[:1] == ("config",):
        places += [home / name for home in HOMES]
    for place in places:
        if place.exists():
            return place
    near = nearest(name, shipped_names())
    if near and not places[0].is_absolute():
        raise UserError(
            f"{one_line(name)}: there is no such configuration in {one_line(Path.cwd())}; did you "
            f"mean {near[0]}?"
        )
    return places[0]


def shipped_names() -> list[str]:
    """Returns the names of the shipped configurations, such as config/methods/lab.yaml."""
    files = [(path, home) for home in HOMES for path in sorted(home.glob("config/**/*.yaml"))]
    return [path.relative_to(home).as_posix() for path, home in files]


def read_configs(configs: Sequence[str | Path]) -> tuple[Any, str]:
    """Returns (the document that YAML files make together, their names); later ones change earlier.

    They are put together as Snakemake does it with several --configfile. Each is a path, or the
    name of a shipped configuration.
    """
    merged = read_config(shipped_config(configs[0]))
    for config in configs[1:]:
        changes = read_config(shipped_config(config))
        if not (isinstance(merged, dict) and isinstance(changes, dict)):
            raise UserError(f"{one_line(config)}: only mappings can be put together")
        merged = changed(merged, changes)
    return merged, ", ".join(map(str, configs))


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns a mapping with `changes`, which go into mappings within it and replace all else."""
    both = {key: document[key] for key in changes if isinstance(document.get(key), dict)}
    return document | {
        key: changed(both[key], value) if key in both and isinstance(value, dict) else value
        for key, value in changes.items()
    }


def load_recipe(
    config: str | Path | Sequence[str | Path], method: str, backbone: str, **changes: Any
) -> Settings:
    """Returns the settings of `method` on `backbone` from a YAML file, with `changes`.

    Of several files later ones change earlier, as with --configfile. Raises UserError in one line
    if a file, a name, a key or a value is not legal.
    """
    document, where = read_configs([config] if isinstance(config, str | Path) else config)
    schema_check.check(document, config_schema(), where)
    if method not in document["recipes"]:
        names = document["recipes"]
        raise UserError(f"{where} has no recipe for {method!r}; {instead(method, names)}")
    if backbone not in BACKBONES and ":" not in backbone:  # as in timm:NAME
        raise UserError(f"unknown backbone {backbone!r}; {instead(backbone, BACKBONES)}")
    text = backbone.startswith("open_clip:")
    named = like(document, TEXT) if text else backbone
    settings = merge_settings(document["recipes"], method, named) | changes
    schema_check.check(settings, settings_schema(method, complete=True), f"{method} on {backbone}")
    return settings


def recipe_for(method: str, backbone: str, modality: str, image_size: int) -> Recipe:
    """Returns the `Recipe` that belongs to a backbone by its name, modality and pixels a side.

    The lab's and the paper's backbones have their own files. For every other one, also one that is
    in no catalogue, it is what config/desk.yaml says for every backbone, at the scale of its
    images; one of vision_language has what the file changes for its own of that kind.
    """
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; {instead(method, METHODS)}")
    home = BACKBONES[backbone].module if backbone in BACKBONES else ""
    own = next((files for start, files in RECIPES.items() if home.startswith(start)), None)
    for configs in own or ANY_RECIPES:
        document, where = read_configs(configs)
        if method in document["recipes"]:
            named = (
                backbone if backbone in document["recipes"][method] else like(document, modality)
            )
            settings = merge_settings(document["recipes"], method, named)
            return Recipe(settings if own else scaled(settings, document, image_size), where)
    settings = defaults(METHODS[method].settings)
    if schema_check.complaint(settings, settings_schema(method, complete=True), method):
        raise UserError(
            f"no shipped configuration has a recipe for {method} on {one_line(backbone)}; give "
            "one: --config FILE, in Python load_recipe(FILE, ...)"
        )
    return Recipe(settings, "its defaults")


def like(document: dict[str, Any], modality: str) -> str:
    """Returns whose changes a backbone has that a configuration does not name.

    They are those of its first backbone with text, if this one has text as well: the map from
    texts to classes is no other's.
    """
    names: list[str] = document["backbones"] if modality == TEXT else []
    return next((name for name in names if BACKBONES[name].modality == TEXT), "every_backbone")


def scaled(settings: Settings, document: dict[str, Any], image_size: int) -> Settings:
    """Returns settings for images of another size than those of the configuration's backbones."""
    side = BACKBONES[document["backbones"][0]].preprocessing[1]
    grown = {key: settings[key] * image_size / side for key in PIXELS if settings.get(key)}
    return settings | {key: max(1, round(pixels)) for key, pixels in grown.items()}
