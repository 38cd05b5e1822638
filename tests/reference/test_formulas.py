"""The layers of the oracle against loops written straight from their formulas.

Everything else in it, tests/models/test_parity.py compares with the package's models.
"""

import math

import pytest
import torch

from . import blocks, t2t_vit
from .randomize import randomize_

pytestmark = pytest.mark.nightly


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def noise(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def double(module):
    return randomize_(module, seed=2).double().eval()


def assert_close(actual, tokens):
    """In float64, where only the order of sums differs."""
    expected = torch.stack(tokens)
    torch.testing.assert_close(actual[0], expected, rtol=1e-10, atol=1e-12)


def layer_norm(vector, norm):
    mean = vector.mean()
    variance = (vector - mean).square().mean()
    return (vector - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def affine(linear, vector):
    return linear.weight @ vector + linear.bias


def with_mlp(vector, norm, first, second):
    hidden = gelu(affine(first, layer_norm(vector, norm)))
    return vector + affine(second, hidden)


def split(linear, tokens):
    """q, k and v of all tokens, which the rows of the kernel make in this order."""
    assert linear.bias is None
    thirds = linear.weight.chunk(3)
    return ([third @ token for token in tokens] for third in thirds)


def attend(q, k, v, heads, scale):
    """Softmax attention of lists of token vectors, one head and query at a time."""
    width = len(q[0]) // heads
    rows = []
    for query in q:
        row = []
        for h in range(heads):
            part = slice(width * h, width * (h + 1))
            scores = torch.stack([query[part] @ key[part] for key in k])
            weights = (scores * scale).exp()
            pairs = zip(weights / weights.sum(), v, strict=True)
            row.append(sum(weight * value[part] for weight, value in pairs))
        rows.append(torch.cat(row))
    return rows


@pytest.mark.parametrize("in_width", [147, 576])
def test_transformer_token_layer(in_width):
    """The softmax scale is the input width's, and v is the residual."""
    layer = double(t2t_vit.TransformerTokenLayer(in_width, dropout=0.0))
    x = noise(1, 5, in_width)
    normed = [layer_norm(token, layer.norm1) for token in x[0]]
    q, k, v = split(layer.attn.qkv, normed)
    rows = attend(q, k, v, 1, in_width**-0.5)
    rows = [a + affine(layer.attn.proj, b) for a, b in zip(v, rows, strict=True)]
    parts = layer.norm2, layer.mlp.fc1, layer.mlp.fc2
    assert_close(layer(x), [with_mlp(row, *parts) for row in rows])


@pytest.mark.parametrize("in_width, gain", [(147, 0.25), (576, 0.25), (147, 0.6)])
def test_performer_token_layer(in_width, gain):
    """sum_j phi(q_i).phi(k_j) v_j over its own sum, also of q and k so long that the
    1e-8 decides."""
    layer = double(t2t_vit.PerformerTokenLayer(in_width, dropout=0.0))
    layer.kqv.weight[:128] *= gain
    x = noise(1, 5, in_width)

    def phi(vector):
        return torch.exp(layer.w @ vector - vector @ vector / 2) / math.sqrt(32)

    expected, sums = [], []
    kqv = [affine(layer.kqv, layer_norm(token, layer.norm1)) for token in x[0]]
    for token in kqv:
        kernel = [phi(token[64:128]) @ phi(other[:64]) for other in kqv]
        pairs = zip(kernel, kqv, strict=True)
        y = sum(weight * other[128:] for weight, other in pairs)
        y = y / (sum(kernel) + 1e-8)
        y = token[128:] + affine(layer.proj, y)
        expected.append(with_mlp(y, layer.norm2, layer.mlp[0], layer.mlp[2]))
        sums.append(sum(kernel))
    assert_close(layer(x), expected)
    assert (min(sums) < 1e-7) == (gain > 0.25)


def test_block():
    """The scale of a head's width, contiguous heads, pre-norm residuals."""
    block = double(blocks.Block(12, 3, 2, 0.0, 0.0, 0.0))
    x = noise(1, 4, 12)
    normed = [layer_norm(token, block.norm1) for token in x[0]]
    rows = attend(*split(block.attn.qkv, normed), 3, 4**-0.5)
    rows = [a + affine(block.attn.proj, b) for a, b in zip(x[0], rows, strict=True)]
    parts = block.norm2, block.mlp.fc1, block.mlp.fc2
    assert_close(block(x), [with_mlp(row, *parts) for row in rows])


def test_squeeze_excitation():
    """After the projection: mean of all tokens, dense, ReLU, dense, sigmoid, scale."""
    attn = double(blocks.SqueezeExcitationBlock(32, 2, 2, 0.0, 0.0, 0.0)).attn
    x = noise(1, 5, 32)
    rows = attend(*split(attn.qkv, x[0]), 2, 16**-0.5)
    rows = [affine(attn.proj, row) for row in rows]
    squeeze, excite = attn.se_layer.fc[0].weight, attn.se_layer.fc[2].weight
    excited = excite @ (squeeze @ (sum(rows) / len(rows))).clamp(min=0)
    gate = 1 / (1 + torch.exp(-excited))
    assert_close(attn(x)[0], [row * gate for row in rows])


@pytest.mark.parametrize("heads", [1, 3, 6])
def test_ghost_attention(heads):
    """Computed halves come before scaled halves, and heads are cut after that."""
    attn = double(blocks.GhostBlock(12, heads, 3, 0.0, 0.0, 0.0)).attn
    x = noise(1, 4, 12)
    parts = []
    for letter in "qkv":
        kernel = getattr(attn, letter).weight
        factors = getattr(attn, f"cheap_operation_{letter}").weight[:, 0, 0]
        halves = [kernel @ token for token in x[0]]
        parts.append([torch.cat([half, half * factors]) for half in halves])
    rows = attend(*parts, heads, (12 / heads) ** -0.5)
    assert_close(attn(x)[0], [affine(attn.proj, row) for row in rows])


def test_ghost_mlp():
    """The scaled copies start from the activated part and are activated again."""
    mlp = double(blocks.GhostMlp(12, 36, 0.0, 0.0))
    x = noise(1, 4, 12)
    scales = mlp.cheap_operation2, mlp.cheap_operation3
    expected = []
    for token in x[0]:
        first = gelu(affine(mlp.fc1, token))
        parts = [first, *(gelu(s.weight[:, 0, 0] * first) for s in scales)]
        expected.append(affine(mlp.fc2, torch.cat(parts)))
    assert_close(mlp(x), expected)


def test_dense_block_and_transition():
    """A block appends to its unchanged input; a transition halves the width."""
    block = double(blocks.DenseBlock(12, 4, 3, 2, 0.0, 0.0, 0.0))
    inner = blocks.Block(12, 3, 2, 0.0, 0.0, 0.0).double().eval()
    inner.load_state_dict(block.state_dict(), strict=False)
    x = noise(1, 4, 12)
    new = [affine(block.dense_linear, token) for token in inner(x)[0]]
    y = block(x)
    assert_close(y, [torch.cat(pair) for pair in zip(x[0], new, strict=True)])
    transition = double(blocks.Transition(16))
    halved = [gelu(affine(transition.linear, token)) for token in y[0]]
    assert_close(transition(y), halved)
    assert halved[0].shape == (8,)
