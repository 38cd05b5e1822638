"""The backbone blocks of the oracle: standard, and the paper's ablation designs.

Tokens are (batch, tokens, width). Parameter names are those of the official
checkpoints; dimensions, biases and shapes follow from their counts.
"""

import torch
from torch import nn
from torch.nn import functional as F


def softmax_attention(q, k, v, num_heads, scale):
    """Multi-head attention of q, k, v, each (batch, tokens, width), to the same shape.

    A head is a run of neighbouring channels.
    """
    q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(2, 3) * scale).softmax(dim=-1)
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

    def __init__(self, width, num_heads, qkv_bias=False, in_width=None, scale=None):
        super().__init__()
        self.num_heads = num_heads
        self.scale = scale or (width // num_heads) ** -0.5
        self.qkv = nn.Linear(in_width or width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.se_layer = None

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        y = self.proj(softmax_attention(q, k, v, self.num_heads, self.scale))
        if self.se_layer is not None:
            y = self.se_layer(y)
        return y, v


class GatedAttention(Attention):
    """The same, with squeeze and excitation after the projection."""

    def __init__(self, width, num_heads, qkv_bias):
        super().__init__(width, num_heads, qkv_bias)
        self.se_layer = SqueezeExcitation(width)


class ChannelScale(nn.Conv1d):
    """One learned factor per channel: a depthwise convolution of kernel 1, no bias."""

    def __init__(self, width):
        super().__init__(width, width, kernel_size=1, groups=width, bias=False)

    def forward(self, x):
        return x * self.weight.flatten()


class GhostAttention(nn.Module):
    """Attention whose q, k and v are half computed, half scaled copies of that half."""

    def __init__(self, width, num_heads, qkv_bias):
        super().__init__()
        self.num_heads, self.scale = num_heads, (width // num_heads) ** -0.5
        half = width // 2
        self.q = nn.Linear(width, half, bias=qkv_bias)
        self.k = nn.Linear(width, half, bias=qkv_bias)
        self.v = nn.Linear(width, half, bias=qkv_bias)
        self.cheap_operation_q = ChannelScale(half)
        self.cheap_operation_k = ChannelScale(half)
        self.cheap_operation_v = ChannelScale(half)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        # computed channels first: they fill the first half of the heads
        q = torch.cat([q, self.cheap_operation_q(q)], dim=-1)
        k = torch.cat([k, self.cheap_operation_k(k)], dim=-1)
        v = torch.cat([v, self.cheap_operation_v(v)], dim=-1)
        return self.proj(softmax_attention(q, k, v, self.num_heads, self.scale)), v


class Mlp(nn.Module):
    """Two dense layers around an exact GELU, (batch, tokens, width) -> the same."""

    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class GhostMlp(nn.Module):
    """An MLP of ratio 3 that computes one third of its hidden channels.

    The other two thirds are GELUs of scaled copies of the activated first.
    """

    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.cheap_operation2 = ChannelScale(width)
        self.cheap_operation3 = ChannelScale(width)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        first = F.gelu(self.fc1(x))
        second = F.gelu(self.cheap_operation2(first))
        third = F.gelu(self.cheap_operation3(first))
        return self.fc2(torch.cat([first, second, third], dim=-1))


class Block(nn.Module):
    """Pre-norm transformer block, (batch, tokens, width) -> the same."""

    attention, perceptron = Attention, Mlp

    def __init__(self, width, heads, mlp_ratio, qkv_bias=False, epsilon=1e-5):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = self.attention(width, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = self.perceptron(width, int(width * mlp_ratio))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))[0]
        return x + self.mlp(self.norm2(x))


class SqueezeExcitationBlock(Block):
    attention = GatedAttention


class GhostBlock(Block):
    attention, perceptron = GhostAttention, GhostMlp


class DenseBlock(Block):
    """A block that appends `growth` channels made from its result to its input."""

    def __init__(self, width, growth, heads, mlp_ratio):
        super().__init__(width, heads, mlp_ratio)
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
