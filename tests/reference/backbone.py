"""What T2T-ViT and ViT share: all that follows their patch tokens."""

import torch
from torch import nn


class Backbone(nn.Module):
    """From patch tokens on; subclasses make these and the parts.

    Images are (batch, channels, height, width); `image_size` is (height, width).
    """

    def initialize(self):
        """The values before training; the authors cut at 100 standard deviations."""
        nn.init.normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_features(self, x):
        """Images -> all tokens after the final norm, (batch, 1 + N, width)."""
        if tuple(x.shape[2:]) != self.image_size:  # 96x160 and 160x96 have one N
            raise ValueError(f"image {tuple(x.shape[2:])}, expected {self.image_size}")
        x = self.patch_tokens(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
