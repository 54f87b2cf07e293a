"""Class names and text prompts, as the official code makes them."""


def refine_class_name(name):
    """Returns `name` in lower case with spaces for `_` and `-` (the official refine_classname)."""
    return name.lower().replace("_", " ").replace("-", " ")


def text_prompts(template, class_names):
    """Returns one text per class: `template` with its {} replaced by the refined class name."""
    if template.count("{}") != 1:
        raise ValueError(f"the text prompt {template!r} must contain {{}} exactly once")
    return [template.replace("{}", refine_class_name(name)) for name in class_names]
