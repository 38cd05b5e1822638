"""An independent T2T-ViT in plain PyTorch: the oracle other tests compare against.

Written from the paper (Yuan et al., "Tokens-to-Token ViT", ICCV 2021). State-dict
names are those of the official checkpoints, so these load with `load_state_dict`.
Nothing here shares code with `keras_t2t`; images are (batch, channels, height, width).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .backbone import Backbone
from .blocks import (
    Attention,
    Block,
    DenseBlock,
    GhostBlock,
    Mlp,
    SqueezeExcitationBlock,
    Transition,
)
from .randomize import randomize_

__all__ = ["VARIANTS", "T2TViT", "build", "randomize_"]

TOKEN_WIDTH = 64
TOKEN_DROPOUT = 0.1  # of the Performer's layers, as the authors' code has it
NUM_FEATURES = 32  # random features of the Performer kernel
SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))  # (kernel, stride, zero padding)


def _row(embed_dim, depth, num_heads, mlp_ratio, token_type="performer", **design):
    return dict(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        token_type=token_type,
        **design,
    )


VARIANTS = {
    "T2TViT7": _row(256, 7, 4, 2),
    "T2TViT10": _row(256, 10, 4, 2),
    "T2TViT12": _row(256, 12, 4, 2),
    "T2TViT14": _row(384, 14, 6, 3),
    "T2TViT19": _row(448, 19, 7, 3),
    "T2TViT24": _row(512, 24, 8, 3),
    "T2TViTt14": _row(384, 14, 6, 3, "transformer"),
    "T2TViTt19": _row(448, 19, 7, 3, "transformer"),
    "T2TViTt24": _row(512, 24, 8, 3, "transformer"),
    "T2TViT24TokenLabelling": _row(512, 24, 8, 3, token_labelling=True),
    "T2TViT14ResNeXt": _row(384, 14, 32, 3),
    "T2TViT14Wide": _row(768, 4, 12, 3),
    "T2TViT14SE": _row(384, 14, 6, 3, block_type="squeeze_excitation"),
    "T2TViT16Ghost": _row(384, 16, 6, 3, block_type="ghost"),
    "T2TViTDense": _row(128, (3, 6, 6, 4), 8, 2, block_type="dense", growth=64),
    "T2TViTc14": _row(384, 14, 6, 3, "convolution"),
}


def build(name, **kwargs):
    """The `T2TViT` of row `name` of `VARIANTS`; `kwargs` add to or replace the row."""
    return T2TViT(**{**VARIANTS[name], **kwargs})


def sinusoid_table(positions, dim):
    """Fixed position table of shape (1, positions, dim): sin on even, cos on odd."""
    column = torch.arange(dim)
    rate = 10000.0 ** (2 * (column // 2).double() / dim)
    # float64 until the end: float32 angles near 200 radians would lose digits
    angle = torch.arange(positions).double()[:, None] / rate
    table = torch.where(column % 2 == 0, angle.sin(), angle.cos())
    return table[None].to(torch.get_default_dtype())


def grid_of(size, kernel, stride, padding):
    """The token grid (h', w') of a split of an image or grid of `size` (h, w)."""
    return tuple((n + 2 * padding - kernel) // stride + 1 for n in size)


def soft_split(x, kernel, stride, padding):
    """Overlapping patches: (batch, channels, h, w) -> (batch, h' * w', c * k * k)."""
    return F.unfold(x, kernel, stride=stride, padding=padding).transpose(1, 2)


class PerformerTokenLayer(nn.Module):
    """Linear-attention token layer: (batch, tokens, in_width) -> (..., TOKEN_WIDTH)."""

    def __init__(self, in_width):
        super().__init__()
        width = TOKEN_WIDTH
        # stored and counted like a weight, but never trained
        self.w = nn.Parameter(torch.empty(NUM_FEATURES, width), requires_grad=False)
        nn.init.orthogonal_(self.w, gain=math.sqrt(NUM_FEATURES))
        self.norm1 = nn.LayerNorm(in_width, eps=1e-5)
        self.kqv = nn.Linear(in_width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.drop = nn.Dropout(TOKEN_DROPOUT)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.Dropout(TOKEN_DROPOUT),
        )

    def features(self, x):
        """phi: (batch, tokens, TOKEN_WIDTH) -> (batch, tokens, NUM_FEATURES), > 0."""
        half_square = x.square().sum(dim=-1, keepdim=True) / 2
        return torch.exp(x @ self.w.T - half_square) / math.sqrt(NUM_FEATURES)

    def attend(self, x):
        """Kernel attention on normalised long patch vectors, plus its v residual."""
        k, q, v = self.kqv(x).chunk(3, dim=-1)
        phi_k, phi_q = self.features(k), self.features(q)
        numerator = phi_q @ (phi_k.transpose(1, 2) @ v)
        denominator = phi_q @ phi_k.sum(dim=1).unsqueeze(-1)
        return v + self.drop(self.proj(numerator / (denominator + 1e-8)))

    def forward(self, x):
        x = self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TransformerTokenLayer(nn.Module):
    """Softmax token layer: (batch, tokens, in_width) -> (..., TOKEN_WIDTH)."""

    def __init__(self, in_width):
        super().__init__()
        width = TOKEN_WIDTH
        self.norm1 = nn.LayerNorm(in_width, eps=1e-5)
        # the released models scale by the input's width, not by that of q and k
        self.attn = Attention(width, 1, in_width=in_width, scale=in_width**-0.5)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = Mlp(width, width)

    def forward(self, x):
        y, v = self.attn(self.norm1(x))
        x = v + y
        return x + self.mlp(self.norm2(x))


class ConvolutionTokens(nn.Module):
    """Three convolutions in place of `TokensToToken`, with nothing between them."""

    def __init__(self, embed_dim):
        super().__init__()
        self.soft_split0 = nn.Conv2d(3, TOKEN_WIDTH, *SPLITS[0])
        self.soft_split1 = nn.Conv2d(TOKEN_WIDTH, TOKEN_WIDTH, *SPLITS[1])
        self.project = nn.Conv2d(TOKEN_WIDTH, embed_dim, *SPLITS[2])

    def forward(self, x):
        x = self.project(self.soft_split1(self.soft_split0(x)))
        return x.flatten(2).transpose(1, 2)


TOKEN_LAYERS = {"performer": PerformerTokenLayer, "transformer": TransformerTokenLayer}


class TokensToToken(nn.Module):
    """(batch, channels, height, width) -> (batch, patch tokens, embed_dim)."""

    def __init__(self, embed_dim, token_type):
        super().__init__()
        layer = TOKEN_LAYERS[token_type]
        self.attention1 = layer(3 * SPLITS[0][0] ** 2)
        self.attention2 = layer(TOKEN_WIDTH * SPLITS[1][0] ** 2)
        self.project = nn.Linear(TOKEN_WIDTH * SPLITS[2][0] ** 2, embed_dim)

    def forward(self, x):
        layers = (self.attention1, self.attention2)
        for split, layer in zip(SPLITS[:2], layers, strict=True):
            grid = grid_of(x.shape[2:], *split)
            x = layer(soft_split(x, *split)).transpose(1, 2).unflatten(2, grid)
        return self.project(soft_split(x, *SPLITS[2]))


BLOCKS = {
    "standard": Block,
    "squeeze_excitation": SqueezeExcitationBlock,
    "ghost": GhostBlock,
}


def dense_blocks(width, stages, growth, heads, mlp_ratio):
    """Stages of dense blocks, transitions between, and the width after them."""
    blocks = nn.ModuleList()
    for stage, depth in enumerate(stages):
        if stage > 0:
            blocks.append(Transition(width))
            width //= 2
        for _ in range(depth):
            blocks.append(DenseBlock(width, growth, heads, mlp_ratio))
            width += growth
    return blocks, width


class T2TViT(Backbone):
    """T2T-ViT: images (batch, channels, height, width) -> logits (batch, classes).

    `image_size` is (height, width). `block_type` is "standard", "squeeze_excitation",
    "ghost" or "dense"; the last takes a tuple of stage depths as `depth`, and `growth`.
    `token_labelling` adds a head over the patch tokens.
    """

    def __init__(
        self,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio,
        token_type="performer",
        image_size=(224, 224),
        num_classes=1000,
        block_type="standard",
        growth=None,
        token_labelling=False,
    ):
        super().__init__()
        self.image_size = tuple(image_size)
        if token_type == "convolution":
            self.tokens_to_token = ConvolutionTokens(embed_dim)
        else:
            self.tokens_to_token = TokensToToken(embed_dim, token_type)
        grid = self.image_size
        for split in SPLITS:
            grid = grid_of(grid, *split)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(
            sinusoid_table(1 + math.prod(grid), embed_dim), requires_grad=False
        )
        settings, width = (num_heads, mlp_ratio), embed_dim
        if block_type == "dense":
            self.blocks, width = dense_blocks(width, depth, growth, *settings)
        else:
            blocks = (BLOCKS[block_type](width, *settings) for _ in range(depth))
            self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.head = nn.Linear(width, num_classes)
        if token_labelling:
            self.aux_head = nn.Linear(width, num_classes)
        self.initialize()

    def patch_tokens(self, x):
        return self.tokens_to_token(x)

    def forward(self, x):
        x = self.forward_features(x)
        logits = self.head(x[:, 0])
        if not hasattr(self, "aux_head"):
            return logits
        # token labelling at inference: each class by its best token, counted half
        return logits + self.aux_head(x[:, 1:]).amax(dim=1) / 2
