"""Finding models and their builders by name."""

import fnmatch

from keras_t2t._ground.arguments import brief, check_text
from keras_t2t._ground.types import BlockType, TokenType
from keras_t2t.models import resnet50, t2t_vit, vit
from keras_t2t.variants import FAMILIES, family_of

MODULES = {"t2t_vit": t2t_vit, "vit": vit, "resnet": resnet50}


def builder(name):
    """The function that builds the model called `name`, such as `"T2TViT14"`; raises a
    ValueError that names the closest if there is none."""
    return getattr(MODULES[family_of(name)], name)


def list_models(
    pattern: str = "*",
    *,
    family: str | None = None,
    token_type: TokenType | None = None,
    block_type: BlockType | None = None,
) -> list[str]:
    """Names of the models that this package builds, as `keras_t2t.<name>(...)`.

    Args:
        pattern: shell pattern that a name must match, ignoring case, such as `"*14*"`
            or `"vit?16"`.
        family: None, or `"t2t_vit"`, `"vit"` or `"resnet"`.
        token_type: None, or as for `keras_t2t.T2TViT`: `"performer"`,
            `"transformer"` or `"convolution"`.
        block_type: None, or as for `keras_t2t.T2TViT`: `"standard"`, `"se"` or
            `"ghost"`.

    Returns:
        List of names, grouped by family, main models first.

    Raises:
        ValueError: if a filter is a value that no model has.
    """
    check_text("pattern", pattern)
    rows = [
        (name, {"family": kind, **row._asdict()})
        for kind, table in FAMILIES.items()
        for name, row in table.items()
    ]
    filters = {"family": family, "token_type": token_type, "block_type": block_type}
    filters = {key: value for key, value in filters.items() if value is not None}
    for key, value in filters.items():
        accepted = sorted({row[key] for _, row in rows if key in row})
        if not isinstance(value, str) or value not in accepted:
            raise ValueError(
                f"`{key}` must be None or one of {accepted}, got {brief(value)}"
            )
    return [
        name
        for name, row in rows
        if fnmatch.fnmatchcase(name.lower(), pattern.lower())
        and all(row.get(key) == value for key, value in filters.items())
    ]
