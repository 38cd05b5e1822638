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


# Name of a tensor -> token type of a model that has it; the first that is there.
TOKEN_TYPES = {
    "tokens_to_token.attention1.kqv.weight": "performer",
    "tokens_to_token.attention1.attn.qkv.weight": "transformer",
    "tokens_to_token.soft_split0.weight": "convolution",
    "patch_embed.proj.weight": "patches",
}
# Name in Keras's files -> official name of a tensor that shows the same.
OFFICIAL = {
    "class_token/0": "cls_token",
    "tokens_1/kqv/0": "tokens_to_token.attention1.kqv.weight",
    "tokens_1/qkv/0": "tokens_to_token.attention1.attn.qkv.weight",
    "convolution_0/0": "tokens_to_token.soft_split0.weight",
    "project/0": "patch_embed.proj.weight",
    r"block_(\d+)_norm_1/0": r"blocks.\1.norm1.weight",
    r"block_(\d+)_mlp/contract/0": r"blocks.\1.mlp.fc2.weight",
    r"block_(\d+)_squeeze_excitation/squeeze/0": r"blocks.\1.attn.se_layer.fc.0.weight",
    r"block_(\d+)_mlp/scale_2/0": r"blocks.\1.mlp.cheap_operation2.weight",
    r"block_(\d+)_growth/1": r"blocks.\1.dense_linear.bias",
    "aux_head/1": "aux_head.bias",
}


def architecture_of(shapes):
    """The `Architecture` of a T2T-ViT or ViT, None for anything else, from its shapes
    by name: official names, or those of `keras_file.variable_keys` in Keras's layout.
    """
    try:
        return _architecture({_official(name): shapes[name] for name in shapes})
    except (ValueError, IndexError, ZeroDivisionError):
        return None  # a tensor of these names has another number of axes


def _official(name):
    for pattern, official in OFFICIAL.items():
        if match := re.fullmatch(pattern, name):
            return match.expand(official)
    return name


def _architecture(shapes):
    def blocks(end):
        """Shapes of the tensors of this name, one per block, in the blocks' order."""
        pattern = rf"blocks\.(\d+)\.{re.escape(end)}"
        by_block = {
            int(match[1]): shape
            for name, shape in shapes.items()
            if (match := re.fullmatch(pattern, name))
        }
        return [by_block[block] for block in sorted(by_block)]

    norms, last = blocks("norm1.weight"), blocks("mlp.fc2.weight")
    growth = blocks("dense_linear.bias")
    tokens = [kind for name, kind in TOKEN_TYPES.items() if name in shapes]
    if "cls_token" not in shapes or not norms or not last or not tokens:
        return None
    depth = len(norms)
    if growth:
        # The width grows within a stage and is halved between stages.
        widths = [width for (width,) in norms]
        starts = [0, *(i for i in range(1, depth) if widths[i] < widths[i - 1]), depth]
        depth = tuple(b - a for a, b in itertools.pairwise(starts))
    block_type = "se" if blocks("attn.se_layer.fc.0.weight") else "standard"
    if blocks("mlp.cheap_operation2.weight"):
        block_type = "ghost"
    rows, columns = last[0]  # the MLP's width and the block's, in either order
    return Architecture(
        token_type=tokens[0],
        embed_dim=shapes["cls_token"][-1],
        depth=depth,
        mlp_ratio=rows * columns / norms[0][0] ** 2,
        block_type=block_type,
        growth=growth[0][0] if growth else None,
        token_labelling="aux_head.bias" in shapes,
    )
