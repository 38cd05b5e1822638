"""An independent T2T-ViT in plain PyTorch: the oracle other tests compare against.

Written from the paper (Yuan et al., "Tokens-to-Token ViT", ICCV 2021). State-dict
names are those of the official checkpoints, so these load with `load_state_dict`.
Nothing here shares code with `keras_t2t`; images are (batch, channels, height, width).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

TOKEN_WIDTH = 64
NUM_FEATURES = 32  # random features of the Performer kernel
SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))  # (kernel, stride, zero padding)


def _row(embed_dim, depth, num_heads, mlp_ratio, token_type="performer"):
    return dict(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        token_type=token_type,
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


class StochasticDepth(nn.Module):
    """Drops a residual branch (batch, tokens, width) for whole samples."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * x.new_empty(x.shape[0], 1, 1).bernoulli_(keep) / keep


class SoftSplit(nn.Module):
    """Overlapping patches: (batch, channels, h, w) -> (batch, h' * w', c * k * k)."""

    def __init__(self, kernel, stride, padding):
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.unfold = nn.Unfold(kernel, stride=stride, padding=padding)

    def grid(self, size):
        """The token grid (h', w') made from an image or grid of `size` (h, w)."""
        return tuple(
            (n + 2 * self.padding - self.kernel) // self.stride + 1 for n in size
        )

    def forward(self, x):
        return self.unfold(x).transpose(1, 2)


class Attention(nn.Module):
    """Softmax attention: (batch, tokens, in_width) -> the same with `width`, twice.

    Returns the projected result and v, which token layers use as their residual.
    """

    def __init__(self, in_width, width, num_heads, scale, dropout, attention_dropout):
        super().__init__()
        self.num_heads, self.scale = num_heads, scale
        self.qkv = nn.Linear(in_width, 3 * width, bias=False)
        self.attn_drop = nn.Dropout(attention_dropout)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(dropout)

    def _split_heads(self, x):
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = self._split_heads(q) @ self._split_heads(k).transpose(2, 3)
        weights = self.attn_drop((scores * self.scale).softmax(dim=-1))
        y = (weights @ self._split_heads(v)).transpose(1, 2).flatten(2)
        return self.proj_drop(self.proj(y)), v


class Mlp(nn.Module):
    """Two dense layers around an exact GELU, (batch, tokens, width) -> the same."""

    def __init__(self, width, hidden, dropout, hidden_dropout):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.hidden_drop = nn.Dropout(hidden_dropout)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.drop(self.fc2(self.hidden_drop(F.gelu(self.fc1(x)))))


class PerformerTokenLayer(nn.Module):
    """Linear-attention token layer: (batch, tokens, in_width) -> (..., TOKEN_WIDTH)."""

    def __init__(self, in_width, dropout):
        super().__init__()
        width = TOKEN_WIDTH
        # stored and counted like a weight, but never trained
        self.w = nn.Parameter(torch.empty(NUM_FEATURES, width), requires_grad=False)
        nn.init.orthogonal_(self.w, gain=math.sqrt(NUM_FEATURES))
        self.norm1 = nn.LayerNorm(in_width, eps=1e-5)
        self.kqv = nn.Linear(in_width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.Dropout(dropout),
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

    def __init__(self, in_width, dropout):
        super().__init__()
        width = TOKEN_WIDTH
        self.norm1 = nn.LayerNorm(in_width, eps=1e-5)
        # the released models scale by the input's width, not by that of q and k
        self.attn = Attention(in_width, width, 1, in_width**-0.5, dropout, 0.0)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = Mlp(width, width, dropout, 0.0)

    def forward(self, x):
        y, v = self.attn(self.norm1(x))
        x = v + y
        return x + self.mlp(self.norm2(x))


TOKEN_LAYERS = {"performer": PerformerTokenLayer, "transformer": TransformerTokenLayer}


class TokensToToken(nn.Module):
    """(batch, channels, height, width) -> (batch, patch tokens, embed_dim)."""

    def __init__(self, in_channels, embed_dim, token_type, dropout):
        super().__init__()
        self.splits = nn.ModuleList(SoftSplit(*split) for split in SPLITS)
        layer = TOKEN_LAYERS[token_type]
        self.attention1 = layer(in_channels * SPLITS[0][0] ** 2, dropout)
        self.attention2 = layer(TOKEN_WIDTH * SPLITS[1][0] ** 2, dropout)
        self.project = nn.Linear(TOKEN_WIDTH * SPLITS[2][0] ** 2, embed_dim)

    def grid(self, size):
        """The final token grid (h, w) for an image of `size` (height, width)."""
        for split in self.splits:
            size = split.grid(size)
        return size

    def forward(self, x):
        layers = (self.attention1, self.attention2)
        for split, layer in zip(self.splits[:2], layers, strict=True):
            grid = split.grid(x.shape[2:])
            x = layer(split(x)).transpose(1, 2).unflatten(2, grid)
        return self.project(self.splits[2](x))


class Block(nn.Module):
    """Pre-norm transformer block, (batch, tokens, width) -> the same."""

    def __init__(self, width, heads, mlp_ratio, dropout, attention_dropout, drop_path):
        super().__init__()
        scale = (width // heads) ** -0.5
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn = Attention(width, width, heads, scale, dropout, attention_dropout)
        self.drop_path = StochasticDepth(drop_path)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = Mlp(width, int(width * mlp_ratio), dropout, dropout)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x))[0])
        return x + self.drop_path(self.mlp(self.norm2(x)))


class T2TViT(nn.Module):
    """T2T-ViT: images (batch, channels, height, width) -> logits (batch, classes).

    `image_size` is (height, width). `token_dropout=None` is the authors' value: 0.1
    for Performer tokens, 0.0 for Transformer tokens.
    """

    def __init__(
        self,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio,
        token_type="performer",
        image_size=(224, 224),
        in_channels=3,
        num_classes=1000,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.0,
        token_dropout=None,
    ):
        super().__init__()
        if token_dropout is None:
            token_dropout = {"performer": 0.1, "transformer": 0.0}[token_type]
        self.image_size = tuple(image_size)
        self.tokens_to_token = TokensToToken(
            in_channels, embed_dim, token_type, token_dropout
        )
        positions = 1 + math.prod(self.tokens_to_token.grid(self.image_size))
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(
            sinusoid_table(positions, embed_dim), requires_grad=False
        )
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio,
                drop_rate,
                attn_drop_rate,
                drop_path_rate * i / max(depth - 1, 1),
            )
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-5)
        self.head = nn.Linear(embed_dim, num_classes)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_features(self, x):
        """Images -> all tokens after the final norm, (batch, 1 + N, embed_dim)."""
        if tuple(x.shape[2:]) != self.image_size:  # 96x160 and 160x96 have one N
            raise ValueError(f"image {tuple(x.shape[2:])}, expected {self.image_size}")
        x = self.tokens_to_token(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.pos_drop(x + self.pos_embed)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, x):
        return self.head(self.forward_features(x)[:, 0])


@torch.no_grad()
def randomize_(model, seed):
    """Refills all of `model` but `pos_embed`, so that every weight shows in the logits.

    A fresh model cannot reveal a missing bias or a wrong scale: its biases are 0 and
    its kernels tiny. Values depend on `seed` only. Returns `model`.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        # float32 on the CPU always: a float64 or GPU model gets the same values
        value = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
        if name == "pos_embed":
            continue
        if name.endswith(".w"):
            gain = math.sqrt(NUM_FEATURES)
            nn.init.orthogonal_(value, gain=gain, generator=generator)
        elif name == "cls_token":
            value.normal_(generator=generator)
        elif parameter.ndim == 2:
            value.normal_(generator=generator).div_(math.sqrt(parameter.shape[1]))
            if name.endswith(".kqv.weight"):
                # exp(-|x|^2) of unit-size k and q would fall below the 1e-8
                value[: 2 * TOKEN_WIDTH] *= 0.25
            elif name.endswith(".attn.qkv.weight"):
                # near-uniform attention would hide the scale and the q, k order
                value[: 2 * parameter.shape[0] // 3] *= 1.5
        else:
            value.uniform_(-0.3, 0.3, generator=generator)
            if "norm" in name and name.endswith(".weight"):
                value += 1.0
        parameter.copy_(value)
    return model
