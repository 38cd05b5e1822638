"""Writes the table of models in docs/models.md, counted on the models themselves.

    python benchmarks/model_table.py

Takes seconds to a minute and about 2 GB: it builds every model, and runs none.
"""

import functools
import math
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras_t2t
from benchmarks import tables
from keras_t2t.models.by_name import builder
from keras_t2t.variants import FAMILIES

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN = "<!-- model table: written by benchmarks/model_table.py -->\n"
END = "<!-- end of the model table -->\n"
HEADER = (
    *("model", "tokens", "width / heads / blocks / MLP ratio", "parameters"),
    *("MACs (G) at 224 px", "top-1, ImageNet-1k", "paper"),
)
DESIGNS = {"standard": "", "se": ", SE", "ghost": ", ghost"}


class Counts(NamedTuple):
    parameters: int  # all, the fixed ones too
    trainable: int
    macs: int


@functools.cache
def counts(name):
    """`Counts` of the model `name` at 224 px with 1000 classes."""
    model = builder(name)()
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Counts(model.count_params(), trainable, keras_t2t.count_macs(model))


def table():
    """The whole table as Markdown."""
    rows = [row for family in FAMILIES.values() for row in family.items()]
    return tables.table(HEADER, [cells(*row) for row in rows])


def cells(name, row):
    counted = counts(name)
    return (
        f"`{name}`",
        tokens(row),
        architecture(row),
        f"{counted.parameters / 1e6:.1f} M",
        f"{counted.macs / 1e9:.1f}",
        f"{row.top1}%",
        f"section {row.section}" if row.section else "later",
    )


def tokens(row):
    if hasattr(row, "patch_size"):
        return f"{row.patch_size} px patches"
    return row.token_type.capitalize() if hasattr(row, "token_type") else ""


def architecture(row):
    if not hasattr(row, "embed_dim"):
        return "as in `keras.applications`"
    text = f"{row.embed_dim} / {row.num_heads} / {row.depth} / {row.mlp_ratio}"
    text += DESIGNS[getattr(row, "block_type", "standard")]
    text += ", token labelling" * getattr(row, "token_labelling", False)
    growth = getattr(row, "growth", None)
    return text if growth is None else f"{text}, dense, growth {growth}"


def with_table(text):
    """`text` of the page with the table of now between its markers."""
    return tables.with_part(text, BEGIN, END, table())


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), encoding="utf-8")
