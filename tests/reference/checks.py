"""What the tests of the oracles share: inputs, counts, and formulas as loops."""

import math

import torch

# float64 throughout where a formula is compared: only the order of sums differs
EXACT = dict(rtol=1e-10, atol=1e-12)


def noise(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def layer_norm(vector, norm):
    mean = vector.mean()
    variance = (vector - mean).square().mean()
    return (vector - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def count(model, trainable_only=False):
    return sum(
        p.numel() for p in model.parameters() if p.requires_grad or not trainable_only
    )


def dense(*names):
    """The parameter names of layers that have a weight and a bias."""
    return {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
