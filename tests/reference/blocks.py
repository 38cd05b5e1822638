"""The backbone blocks of the oracle: standard, and the paper's ablation designs.

Tokens are (batch, tokens, width). Parameter names are those of the official
checkpoints; dimensions, biases and shapes follow from their counts.
"""

import torch
from torch import nn
from torch.nn import functional as F


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


def softmax_attention(q, k, v, num_heads, scale, dropout):
    """Multi-head attention of q, k, v, each (batch, tokens, width), to the same shape.

    A head is a run of neighbouring channels. `dropout` acts on the weights.
    """
    q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = dropout((q @ k.transpose(2, 3) * scale).softmax(dim=-1))
    return (weights @ v).transpose(1, 2).flatten(2)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate in (0, 1) made from the mean over all tokens."""

    def __init__(self, width, ratio=16):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(width, width // ratio, bias=False),
            nn.ReLU(),
            nn.Linear(width // ratio, width, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.fc(x.mean(dim=1, keepdim=True))


class Attention(nn.Module):
    """Softmax attention: (batch, tokens, in_width) -> the same with `width`, twice.

    Returns the projected result and v, which token layers use as their residual.
    """

    def __init__(
        self,
        width,
        num_heads,
        dropout,
        attention_dropout,
        qkv_bias=False,
        in_width=None,
        scale=None,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.scale = scale or (width // num_heads) ** -0.5
        self.qkv = nn.Linear(in_width or width, 3 * width, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attention_dropout)
        self.proj = nn.Linear(width, width)
        self.se_layer = None
        self.proj_drop = nn.Dropout(dropout)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        y = softmax_attention(q, k, v, self.num_heads, self.scale, self.attn_drop)
        y = self.proj(y)
        if self.se_layer is not None:
            y = self.se_layer(y)
        return self.proj_drop(y), v


class GatedAttention(Attention):
    """The same, with squeeze and excitation after the projection."""

    def __init__(self, width, *others):
        super().__init__(width, *others)
        self.se_layer = SqueezeExcitation(width)


class ChannelScale(nn.Conv1d):
    """One learned factor per channel: a depthwise convolution of kernel 1, no bias."""

    def __init__(self, width):
        super().__init__(width, width, kernel_size=1, groups=width, bias=False)

    def forward(self, x):
        return x * self.weight.flatten()


class GhostAttention(nn.Module):
    """Attention whose q, k and v are half computed, half scaled copies of that half."""

    def __init__(self, width, num_heads, dropout, attention_dropout, qkv_bias):
        super().__init__()
        self.num_heads, self.scale = num_heads, (width // num_heads) ** -0.5
        half = width // 2
        self.q = nn.Linear(width, half, bias=qkv_bias)
        self.k = nn.Linear(width, half, bias=qkv_bias)
        self.v = nn.Linear(width, half, bias=qkv_bias)
        self.cheap_operation_q = ChannelScale(half)
        self.cheap_operation_k = ChannelScale(half)
        self.cheap_operation_v = ChannelScale(half)
        self.attn_drop = nn.Dropout(attention_dropout)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(dropout)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        # computed channels first: they fill the first half of the heads
        q = torch.cat([q, self.cheap_operation_q(q)], dim=-1)
        k = torch.cat([k, self.cheap_operation_k(k)], dim=-1)
        v = torch.cat([v, self.cheap_operation_v(v)], dim=-1)
        y = softmax_attention(q, k, v, self.num_heads, self.scale, self.attn_drop)
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


class GhostMlp(nn.Module):
    """An MLP of ratio 3 that computes one third of its hidden channels.

    The other two thirds are GELUs of scaled copies of the activated first.
    """

    def __init__(self, width, hidden, dropout, hidden_dropout):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.cheap_operation2 = ChannelScale(width)
        self.cheap_operation3 = ChannelScale(width)
        self.hidden_drop = nn.Dropout(hidden_dropout)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        first = F.gelu(self.fc1(x))
        second = F.gelu(self.cheap_operation2(first))
        third = F.gelu(self.cheap_operation3(first))
        x = torch.cat([first, second, third], dim=-1)
        return self.drop(self.fc2(self.hidden_drop(x)))


class Block(nn.Module):
    """Pre-norm transformer block, (batch, tokens, width) -> the same."""

    attention, perceptron = Attention, Mlp

    def __init__(
        self,
        width,
        heads,
        mlp_ratio,
        dropout,
        attention_dropout,
        drop_path,
        qkv_bias=False,
        epsilon=1e-5,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = self.attention(width, heads, dropout, attention_dropout, qkv_bias)
        self.drop_path = StochasticDepth(drop_path)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        hidden = int(width * mlp_ratio)
        self.mlp = self.perceptron(width, hidden, dropout, dropout)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x))[0])
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SqueezeExcitationBlock(Block):
    attention = GatedAttention


class GhostBlock(Block):
    attention, perceptron = GhostAttention, GhostMlp


class DenseBlock(Block):
    """A block that appends `growth` channels made from its result to its input."""

    def __init__(self, width, growth, heads, mlp_ratio, *rates):
        super().__init__(width, heads, mlp_ratio, *rates)
        self.dense_linear = nn.Linear(width, growth)

    def forward(self, x):
        return torch.cat([x, self.dense_linear(super().forward(x))], dim=-1)


class Transition(nn.Module):
    """Halves the width between two dense stages: a dense layer, then a GELU."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width // 2)

    def forward(self, x):
        return F.gelu(self.linear(x))


def uniform_blocks(block, width, depth, heads, mlp_ratio, rates, drop_path, *others):
    """`depth` equal blocks of one class; `rates` and `others` as in `Block`."""
    steps = max(depth - 1, 1)
    return nn.ModuleList(
        block(width, heads, mlp_ratio, *rates, drop_path * i / steps, *others)
        for i in range(depth)
    )
