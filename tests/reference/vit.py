"""A plain ViT in PyTorch, the paper's baseline, with timm's state-dict names.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021. Independent of
`keras_t2t`, as `t2t_vit.py` is; images are (batch, channels, height, width).
"""

import math

import torch
from torch import nn

from .backbone import Backbone
from .blocks import Block
from .randomize import randomize_

__all__ = ["VARIANTS", "ViT", "build", "randomize_"]

PATCH_SIZE = 16
VARIANTS = {
    # the T2T-ViT paper's own small model, not DeiT's (384 wide, 12 blocks)
    "ViTS16": dict(
        embed_dim=768, depth=8, num_heads=8, mlp_ratio=3, qkv_bias=False, epsilon=1e-5
    ),
    "ViTB16": dict(embed_dim=768, depth=12, num_heads=12),
    "ViTL16": dict(embed_dim=1024, depth=24, num_heads=16),
}


def build(name, **kwargs):
    """The `ViT` of row `name` of `VARIANTS`; `kwargs` add to or replace the row."""
    return ViT(**{**VARIANTS[name], **kwargs})


class PatchEmbedding(nn.Module):
    """Images -> (batch, tokens, embed_dim), row by row.

    Pixels right of or below the last whole patch are not seen.
    """

    def __init__(self, embed_dim):
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, PATCH_SIZE, stride=PATCH_SIZE)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class ViT(Backbone):
    """ViT: images (batch, channels, height, width) -> logits (batch, classes).

    `image_size` is (height, width). The position table is learned.
    """

    def __init__(
        self,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio=4,
        qkv_bias=True,
        epsilon=1e-6,
        image_size=(224, 224),
        num_classes=1000,
    ):
        super().__init__()
        self.image_size = tuple(image_size)
        self.patch_embed = PatchEmbedding(embed_dim)
        patches = math.prod(n // PATCH_SIZE for n in self.image_size)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + patches, embed_dim))
        settings = embed_dim, num_heads, mlp_ratio, qkv_bias, epsilon
        self.blocks = nn.ModuleList(Block(*settings) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=epsilon)
        self.head = nn.Linear(embed_dim, num_classes)
        nn.init.normal_(self.pos_embed, std=0.02)
        self.initialize()

    def patch_tokens(self, x):
        return self.patch_embed(x)

    def forward(self, x):
        return self.head(self.forward_features(x)[:, 0])
