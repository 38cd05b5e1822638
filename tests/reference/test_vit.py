"""The plain ViT oracle: counts, names, and its parts by hand."""

import copy

import pytest
import torch

from . import vit
from .checks import EXACT, count, dense, noise
from .vit import VARIANTS, ViT, build, randomize_

pytestmark = pytest.mark.nightly

COUNTS = {
    "ViTS16": 48_754_408,
    "ViTB16": 86_567_656,
    "ViTL16": 304_326_632,
}


def small(**kwargs):
    settings = dict(
        embed_dim=64,
        depth=3,
        num_heads=2,
        image_size=(64, 64),
        num_classes=10,
    )
    return randomize_(ViT(**{**settings, **kwargs}), seed=1).eval()


def test_table_has_every_variant():
    assert set(VARIANTS) == set(COUNTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_parameter_counts(name):
    """Every parameter is trained, the position table too."""
    with torch.device("meta"):
        model = build(name)
    assert count(model) == count(model, trainable_only=True) == COUNTS[name]


@pytest.mark.parametrize("name", VARIANTS)
def test_timm_state_dict_names(name):
    with torch.device("meta"):
        model = build(name)
    state = model.state_dict()
    expected = {"cls_token", "pos_embed"} | dense("patch_embed.proj", "norm", "head")
    depth, dim = {"ViTS16": (8, 768), "ViTB16": (12, 768), "ViTL16": (24, 1024)}[name]
    for i in range(depth):
        at = f"blocks.{i}"
        expected |= {f"{at}.attn.qkv.weight"}
        expected |= dense(f"{at}.norm1", f"{at}.norm2", f"{at}.attn.proj")
        expected |= dense(f"{at}.mlp.fc1", f"{at}.mlp.fc2")
        if name != "ViTS16":
            expected |= {f"{at}.attn.qkv.bias"}
    assert set(state) == expected
    assert state["patch_embed.proj.weight"].shape == (dim, 3, 16, 16)
    assert state["pos_embed"].shape == (1, 197, dim)
    assert state["cls_token"].shape == (1, 1, dim)


@pytest.mark.parametrize(
    "name, heads, hidden, epsilon",
    [("ViTS16", 8, 2304, 1e-5), ("ViTB16", 12, 3072, 1e-6), ("ViTL16", 16, 4096, 1e-6)],
)
def test_settings(name, heads, hidden, epsilon):
    with torch.device("meta"):
        model = build(name)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {epsilon}
    for block in model.blocks:
        width = block.attn.proj.in_features
        assert block.attn.num_heads == heads
        assert block.attn.scale == pytest.approx((width / heads) ** -0.5)
        assert block.mlp.fc1.out_features == hidden


@pytest.mark.parametrize(
    "size, patch_size, channels, tokens",
    [
        ((64, 64), 16, 3, 16),
        ((96, 160), 16, 3, 60),
        ((100, 100), 16, 3, 36),
        ((64, 96), 8, 3, 96),
        ((64, 64), 32, 1, 4),
    ],
)
def test_output_shapes(size, patch_size, channels, tokens):
    model = small(image_size=size, patch_size=patch_size, in_channels=channels)
    x = noise(2, channels, *size)
    with torch.no_grad():
        assert model.forward_features(x).shape == (2, 1 + tokens, 64)
        assert model(x).shape == (2, 10)


def test_other_image_size_is_refused():
    with pytest.raises(ValueError, match=r"\(160, 96\)"):
        small(image_size=(96, 160))(noise(1, 3, 160, 96))


def test_patch_embedding_by_hand():
    """Rows of patches, each a sum over channel, row and column; the rest is unseen."""
    embed = randomize_(vit.PatchEmbedding(4, 2, 5), seed=2).double()
    x = noise(1, 2, 10, 15, dtype=torch.float64)
    proj = embed.proj
    with torch.no_grad():
        expected = [
            (proj.weight * x[0, :, top : top + 4, left : left + 4]).sum(dim=(1, 2, 3))
            + proj.bias
            for top in (0, 4)
            for left in (0, 4, 8)
        ]
        torch.testing.assert_close(embed(x)[0], torch.stack(expected), **EXACT)


def test_whole_model_is_the_sum_of_its_parts():
    model = small().double()
    x = noise(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        y = torch.cat([model.cls_token.repeat(2, 1, 1), model.patch_embed(x)], dim=1)
        y = y + model.pos_embed
        for block in model.blocks:
            y = block(y)
        mean, variance = y.mean(-1, keepdim=True), y.var(-1, keepdim=True, correction=0)
        y = (y - mean) / (variance + 1e-6).sqrt() * model.norm.weight + model.norm.bias
        torch.testing.assert_close(model.forward_features(x), y, **EXACT)
        logits = y[:, 0] @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model(x), logits, **EXACT)


def test_qkv_bias_is_that_of_a_longer_kernel():
    """A bias equals one more input that is always 1."""
    block = randomize_(vit.Block(12, 3, 2, 0.0, 0.0, 0.0, True, 1e-6), seed=3).double()
    x = noise(1, 4, 12, dtype=torch.float64)
    attn = block.attn
    with torch.no_grad():
        kernel = torch.cat([attn.qkv.weight, attn.qkv.bias[:, None]], dim=1)
        q, k, v = (torch.cat([x, torch.ones(1, 4, 1)], -1) @ kernel.T).split(12, dim=-1)
        heads = []
        for h in range(3):
            part = slice(4 * h, 4 * h + 4)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / 2  # sqrt(4) = 2
            heads.append(scores.softmax(dim=-1) @ v[..., part])
        expected = torch.cat(heads, dim=-1) @ attn.proj.weight.T + attn.proj.bias
        torch.testing.assert_close(attn(x)[0], expected, **EXACT)


def test_randomize_fills_the_learned_table_from_the_seed_only():
    first, again = small(), randomize_(small().double(), seed=1)
    other = randomize_(small(), seed=2)
    for name, value in first.state_dict().items():
        assert torch.equal(value.double(), again.state_dict()[name]), name
        assert not torch.equal(value, other.state_dict()[name]), name


def test_randomized_logits_are_well_conditioned():
    """Logits of unit size, with a float32 error far below the 1e-4 of parity tests."""
    for bias in (False, True):
        model = small(qkv_bias=bias)
        x = noise(2, 3, 64, 64)
        with torch.no_grad():
            logits = model(x)
            exact = copy.deepcopy(model).double()(x.double())
        assert 0.5 < logits.std().item() < 2.0
        assert (logits - exact).abs().max() < 2e-5


def _swap_q_and_k(linear):
    for parameter in (linear.weight, linear.bias):
        order = torch.arange(parameter.shape[0]).unflatten(0, (3, -1))[[1, 0, 2]]
        parameter.data = parameter.data[order.flatten()]


def _transpose_patches(model):
    kernel = model.patch_embed.proj.weight
    kernel.data = kernel.data.transpose(2, 3).contiguous()


def _all_norms(model, epsilon):
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = epsilon


MUTATIONS = {
    "no position of the class token": lambda m: m.pos_embed.data[:, 0].zero_(),
    "no positions": lambda m: m.pos_embed.data[:, 1:].zero_(),
    "class token last": lambda m: setattr(
        m.pos_embed, "data", m.pos_embed.data.roll(-1, dims=1)
    ),
    "no class token": lambda m: m.cls_token.data.zero_(),
    "no patch bias": lambda m: m.patch_embed.proj.bias.data.zero_(),
    "patches transposed": _transpose_patches,
    "epsilon 1e-5": lambda m: _all_norms(m, 1e-5),
    "k, q, v order": lambda m: _swap_q_and_k(m.blocks[1].attn.qkv),
    "no q bias": lambda m: m.blocks[1].attn.qkv.bias.data[:64].zero_(),
    "no v bias": lambda m: m.blocks[1].attn.qkv.bias.data[128:].zero_(),
    "scale of the width": lambda m: setattr(m.blocks[1].attn, "scale", 64**-0.5),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_randomized_logits_reveal_a_mistake(mutation):
    """Each plausible mistake moves the logits beyond the 1e-4 of parity tests."""
    model = small()
    wrong = copy.deepcopy(model)
    MUTATIONS[mutation](wrong)
    x = noise(2, 3, 64, 64)
    with torch.no_grad():
        difference = (wrong(x) - model(x)).abs().max()
    assert difference > (2e-3 if mutation == "epsilon 1e-5" else 0.01)
