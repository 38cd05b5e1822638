"""The models of the paper, one row each. This file does not import Keras."""

import difflib
import functools
from typing import Any, NamedTuple


def _architecture(row):
    """The fields of a row that are arguments of its builder."""
    published = ("top1", "default_name", "section")
    return {k: v for k, v in row._asdict().items() if k not in published}


class Variant(NamedTuple):
    """One T2T-ViT: the architecture, and what its authors report for it."""

    token_type: str  # "performer", "transformer" or "convolution"
    embed_dim: int  # width of the backbone's tokens
    num_heads: int
    depth: int | tuple  # number of backbone blocks; with growth, of each stage
    mlp_ratio: float  # hidden width of a block's MLP over embed_dim
    top1: float  # percent on ImageNet-1k validation at 224 px, authors' README
    default_name: str  # name of the Keras model
    block_type: str = "standard"  # or "se" or "ghost"
    growth: int | None = None  # channels that a densely connected block adds
    section: str | None = "4.1"  # of the paper; None: published later
    token_labelling: bool = False  # a second classifier, for the patch tokens

    @property
    def architecture(self):
        """The arguments of `T2TViT` that build this row."""
        return _architecture(self)

    @property
    def summary(self):
        return f"T2T-ViT, {self}: {self.top1}% top-1 on ImageNet-1k as published."

    def __str__(self):
        design = {"standard": "", "se": "SE ", "ghost": "ghost "}[self.block_type]
        depth, width = self.depth, f"width {self.embed_dim}"
        labels = ", and a classifier for tokens" if self.token_labelling else ""
        if self.growth is not None:
            design, depth = f"densely connected {design}", sum(depth)
            width += f" growing by {self.growth} each (stages of {self.depth})"
        return (
            f"{self.token_type} tokens, {depth} {design}blocks of {width} with "
            f"{self.num_heads} heads and MLP ratio {self.mlp_ratio}{labels}"
        )


_ablation = functools.partial(Variant, section="4.2")

VARIANTS = {
    "T2TViT7": Variant("performer", 256, 4, 7, 2, 71.7, "t2t_vit_7"),
    "T2TViT10": Variant("performer", 256, 4, 10, 2, 75.2, "t2t_vit_10"),
    "T2TViT12": Variant("performer", 256, 4, 12, 2, 76.5, "t2t_vit_12"),
    "T2TViT14": Variant("performer", 384, 6, 14, 3, 81.5, "t2t_vit_14"),
    "T2TViT19": Variant("performer", 448, 7, 19, 3, 81.9, "t2t_vit_19"),
    "T2TViT24": Variant("performer", 512, 8, 24, 3, 82.3, "t2t_vit_24"),
    "T2TViTt14": Variant("transformer", 384, 6, 14, 3, 81.7, "t2t_vit_t_14"),
    "T2TViTt19": Variant("transformer", 448, 7, 19, 3, 82.4, "t2t_vit_t_19"),
    "T2TViTt24": Variant("transformer", 512, 8, 24, 3, 82.6, "t2t_vit_t_24"),
    # Jiang et al., 2021, arXiv:2104.10858, by the authors of T2T-ViT.
    "T2TViT24TokenLabelling": Variant(
        "performer",
        512,
        8,
        24,
        3,
        84.2,
        "t2t_vit_24_token_labelling",
        section=None,
        token_labelling=True,
    ),
    # The ablations: designs of CNNs in the backbone, then convolutions as tokens.
    "T2TViT14ResNeXt": _ablation(
        "performer", 384, 32, 14, 3, 81.5, "t2t_vit_14_resnext"
    ),
    "T2TViT14Wide": _ablation("performer", 768, 12, 4, 3, 77.9, "t2t_vit_14_wide"),
    "T2TViT14SE": _ablation("performer", 384, 6, 14, 3, 81.6, "t2t_vit_14_se", "se"),
    "T2TViT16Ghost": _ablation(
        "performer", 384, 6, 16, 3, 79.5, "t2t_vit_16_ghost", "ghost"
    ),
    "T2TViTDense": _ablation(
        "performer", 128, 8, (3, 6, 6, 4), 2, 80.6, "t2t_vit_dense", growth=64
    ),
    "T2TViTc14": _ablation(
        "convolution", 384, 6, 14, 3, 80.8, "t2t_vit_c_14", section="4.3"
    ),
}


def variant_name(**architecture):
    """Name of the row with exactly these fields, None if there is none."""
    for name, row in VARIANTS.items():
        if all(getattr(row, field) == value for field, value in architecture.items()):
            return name
    return None


class ViTVariant(NamedTuple):
    """One plain ViT: the architecture, and what the T2T-ViT paper reports for it."""

    patch_size: int  # pixels per token each way
    embed_dim: int
    num_heads: int
    depth: int
    mlp_ratio: float
    qkv_bias: bool
    epsilon: float  # of the LayerNorms
    top1: float  # percent on ImageNet-1k validation at 224 px, trained from scratch
    default_name: str
    section: str = "4.1"  # of the T2T-ViT paper, where it is measured

    # Class attributes, the same for all rows, which `Variant` has as columns.
    token_type, block_type = "patches", "standard"  # type: ignore[misc]
    growth, token_labelling = None, False  # type: ignore[misc]

    @property
    def architecture(self):
        """The arguments of `ViT` that build this row."""
        return _architecture(self)

    @property
    def summary(self):
        reported = f"{self.top1}% top-1 on ImageNet-1k as the T2T-ViT paper reports."
        return f"ViT, {self}: {reported}"

    def __str__(self):
        return (
            f"patches of {self.patch_size} px, {self.depth} blocks of width "
            f"{self.embed_dim} with {self.num_heads} heads and MLP ratio "
            f"{self.mlp_ratio}"
        )


VIT_VARIANTS = {
    "ViTS16": ViTVariant(16, 768, 8, 8, 3, False, 1e-5, 78.1, "vit_s_16"),
    "ViTB16": ViTVariant(16, 768, 12, 12, 4, True, 1e-6, 79.8, "vit_b_16"),
    "ViTL16": ViTVariant(16, 1024, 16, 24, 4, True, 1e-6, 81.1, "vit_l_16"),
}


class ResNetVariant(NamedTuple):
    """A ResNet of `keras.applications`, and what the T2T-ViT paper reports for it."""

    top1: float  # percent; 79.1 when trained like the paper's own models
    section: str = "4.1"


RESNET_VARIANTS = {"ResNet50": ResNetVariant(76.2)}

FAMILIES: dict[str, dict[str, Any]] = {
    "t2t_vit": VARIANTS,
    "vit": VIT_VARIANTS,
    "resnet": RESNET_VARIANTS,
}


def family_of(name):
    """The key in `FAMILIES` of a model, such as `"T2TViT14"`; a ValueError that names
    the closest, if there is no such model."""
    for family, table in FAMILIES.items():
        if name in table:
            return family
    names = [name for table in FAMILIES.values() for name in table]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(f"unknown model {name!r}: {hint}There are {', '.join(names)}")
