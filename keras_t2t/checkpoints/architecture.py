"""The variant of a checkpoint, found from its tensors' names and shapes."""

import itertools
import re
from typing import NamedTuple

from keras_t2t.variants import VARIANTS, VIT_VARIANTS


class Architecture(NamedTuple):
    """The fields of a variant that shapes show: all but the number of heads."""

    token_type: str
    embed_dim: int
    depth: int | tuple
    mlp_ratio: float
    block_type: str
    growth: int | None
    token_labelling: bool

    @property
    def variants(self):
        """Names of the variants with these shapes."""
        fields = self._asdict().items()
        return [
            name
            for name, row in {**VARIANTS, **VIT_VARIANTS}.items()
            if all(getattr(row, field) == value for field, value in fields)
        ]

    def __str__(self):
        design = "" if self.block_type == "standard" else f"{self.block_type} "
        kind = f"T2T-ViT with {self.token_type} tokens,"
        if self.token_type == "patches":
            kind = "ViT with"
        return " or ".join(self.variants) or (
            f"a {kind} {self.depth} {design}blocks of width {self.embed_dim} and MLP "
            f"ratio {self.mlp_ratio:g}" + " and token labelling" * self.token_labelling
        )

    @property
    def headless(self):
        """The same without its classifiers."""
        return self._replace(token_labelling=False)


class _Names(NamedTuple):
    """The tensors to look for in one format: names, or patterns of names in blocks."""

    width: str  # its last axis is the width of the tokens
    token_types: dict  # name of a tensor -> token type of a model that has it
    norm: str  # its only axis is a block's width
    hidden: str  # its axis `hidden_axis` is the hidden width of a block's MLP
    hidden_axis: int
    se: str
    ghost: str
    growth: str  # its only axis is the growth
    token_labelling: str


_OFFICIAL = _Names(
    width="cls_token",
    token_types={
        "tokens_to_token.attention1.kqv.weight": "performer",
        "tokens_to_token.attention1.attn.qkv.weight": "transformer",
        "tokens_to_token.soft_split0.weight": "convolution",
        "patch_embed.proj.weight": "patches",
    },
    norm=r"blocks\.(\d+)\.norm1\.weight",
    hidden=r"blocks\.(\d+)\.mlp\.fc2\.weight",
    hidden_axis=1,
    se=r"blocks\.(\d+)\.attn\.se_layer\.fc\.0\.weight",
    ghost=r"blocks\.(\d+)\.mlp\.cheap_operation2\.weight",
    growth=r"blocks\.(\d+)\.dense_linear\.bias",
    token_labelling="aux_head.bias",
)
_KERAS = _Names(
    width="class_token/0",
    token_types={
        "tokens_1/kqv/0": "performer",
        "tokens_1/qkv/0": "transformer",
        "convolution_0/0": "convolution",
        "project/0": "patches",  # if none of those above is there
    },
    norm=r"block_(\d+)_norm_1/0",
    hidden=r"block_(\d+)_mlp/contract/0",
    hidden_axis=0,
    se=r"block_(\d+)_squeeze_excitation/squeeze/0",
    ghost=r"block_(\d+)_mlp/scale_2/0",
    growth=r"block_(\d+)_growth/1",
    token_labelling="aux_head/1",
)


def architecture_of(shapes):
    """The `Architecture` of a T2T-ViT or ViT, None for anything else.

    Args:
        shapes: dict, name -> shape: official names in the authors' layout, or those of
            `keras_file.variable_keys` in Keras's.
    """
    names = _OFFICIAL if _OFFICIAL.width in shapes else _KERAS
    try:
        return _architecture(shapes, names)
    except (ValueError, IndexError, ZeroDivisionError):
        return None  # a tensor of these names has another number of axes


def _architecture(shapes, names):
    def blocks(pattern):
        """Shapes of the matching tensors, one per block, in the order of the blocks."""
        by_block = {
            int(match[1]): shape
            for name, shape in shapes.items()
            if (match := re.fullmatch(pattern, name))
        }
        return [by_block[block] for block in sorted(by_block)]

    norms, hidden, growth = map(blocks, (names.norm, names.hidden, names.growth))
    tokens = [kind for name, kind in names.token_types.items() if name in shapes]
    if names.width not in shapes or not norms or not hidden or not tokens:
        return None
    depth = len(norms)
    if growth:
        # The width grows within a stage and is halved between stages.
        widths = [width for (width,) in norms]
        starts = [0, *(i for i in range(1, depth) if widths[i] < widths[i - 1]), depth]
        depth = tuple(b - a for a, b in itertools.pairwise(starts))
    block_type = "se" if blocks(names.se) else "standard"
    if blocks(names.ghost):
        block_type = "ghost"
    return Architecture(
        token_type=tokens[0],
        embed_dim=shapes[names.width][-1],
        depth=depth,
        mlp_ratio=hidden[0][names.hidden_axis] / norms[0][0],
        block_type=block_type,
        growth=growth[0][0] if growth else None,
        token_labelling=names.token_labelling in shapes,
    )
