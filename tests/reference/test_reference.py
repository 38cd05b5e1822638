"""Checks of the oracle itself, against loops written straight from the formulas."""

import copy
import math

import pytest
import torch

from . import t2t_vit
from .checks import EXACT, count, dense, gelu, layer_norm, noise
from .t2t_vit import VARIANTS, T2TViT, build, randomize_

pytestmark = pytest.mark.nightly

COUNTS = {  # all, trainable
    "T2TViT7": (4_310_222, 4_255_694),
    "T2TViT10": (5_889_230, 5_834_702),
    "T2TViT12": (6_941_902, 6_887_374),
    "T2TViT14": (21_545_550, 21_465_806),
    "T2TViT19": (39_177_422, 39_085_070),
    "T2TViT24": (64_105_934, 64_000_974),
    "T2TViTt14": (21_541_070, 21_465_422),
    "T2TViTt19": (39_172_942, 39_084_686),
    "T2TViTt24": (64_101_454, 64_000_590),
    "T2TViT24TokenLabelling": (64_618_934, 64_513_974),
    "T2TViT14ResNeXt": (21_545_550, 21_465_806),
    "T2TViT14Wide": (25_156_302, 25_000_910),
    "T2TViT14SE": (21_803_598, 21_723_854),
    "T2TViT16Ghost": (16_253_262, 16_173_518),
    "T2TViTDense": (23_647_062, 23_617_750),
    "T2TViTc14": (21_421_992, 21_346_344),
}
TOKEN_TYPES = ("performer", "transformer")


def small(token_type="performer", **kwargs):
    settings = dict(
        embed_dim=64,
        depth=3,
        num_heads=2,
        mlp_ratio=2,
        token_type=token_type,
        image_size=(64, 64),
        num_classes=10,
    )
    return randomize_(T2TViT(**{**settings, **kwargs}), seed=1).eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_parameter_counts(name):
    with torch.device("meta"):
        model = build(name)
    assert (count(model), count(model, trainable_only=True)) == COUNTS[name]


def test_parameter_counts_at_384():
    with torch.device("meta"):
        model = build("T2TViT14", image_size=(384, 384))
    assert count(model) == 21_691_470
    assert count(model, trainable_only=True) == 21_465_806


def test_table_has_every_variant():
    assert set(VARIANTS) == set(COUNTS)


@pytest.mark.parametrize("name", ["T2TViT7", "T2TViTt14"])
def test_official_state_dict_names(name):
    expected = {"cls_token", "pos_embed"}
    expected |= dense("tokens_to_token.project", "norm", "head")
    for i in (1, 2):
        at = f"tokens_to_token.attention{i}"
        expected |= dense(f"{at}.norm1", f"{at}.norm2")
        if name == "T2TViT7":
            expected |= {f"{at}.w"}
            expected |= dense(f"{at}.kqv", f"{at}.proj", f"{at}.mlp.0", f"{at}.mlp.2")
        else:
            expected |= {f"{at}.attn.qkv.weight"}
            expected |= dense(f"{at}.attn.proj", f"{at}.mlp.fc1", f"{at}.mlp.fc2")
    for i in range(VARIANTS[name]["depth"]):
        at = f"blocks.{i}"
        expected |= {f"{at}.attn.qkv.weight"}
        expected |= dense(f"{at}.norm1", f"{at}.norm2", f"{at}.attn.proj")
        expected |= dense(f"{at}.mlp.fc1", f"{at}.mlp.fc2")
    with torch.device("meta"):
        state = build(name).state_dict()
    assert set(state) == expected
    dim = VARIANTS[name]["embed_dim"]
    assert state["pos_embed"].shape == (1, 197, dim)
    assert state["cls_token"].shape == (1, 1, dim)
    assert state["tokens_to_token.project.weight"].shape == (dim, 576)
    if name == "T2TViT7":
        assert state["tokens_to_token.attention1.w"].shape == (32, 64)
        assert state["tokens_to_token.attention1.kqv.weight"].shape == (192, 147)
        assert state["tokens_to_token.attention2.kqv.weight"].shape == (192, 576)


def test_only_the_position_table_and_features_are_fixed():
    fixed = {n for n, p in small().named_parameters() if not p.requires_grad}
    features = {f"tokens_to_token.attention{i}.w" for i in (1, 2)}
    assert fixed == {"pos_embed"} | features


@pytest.mark.parametrize("token_type", TOKEN_TYPES)
@pytest.mark.parametrize(
    "size, channels, tokens",
    [((64, 64), 3, 16), ((96, 160), 3, 60), ((100, 100), 3, 49), ((64, 64), 1, 16)],
)
def test_output_shapes(token_type, size, channels, tokens):
    model = small(token_type, image_size=size, in_channels=channels)
    x = noise(2, channels, *size)
    with torch.no_grad():
        assert model.forward_features(x).shape == (2, 1 + tokens, 64)
        assert model(x).shape == (2, 10)


def test_other_image_size_is_refused():
    # 160x96 has as many tokens as 96x160, so nothing else would notice
    with pytest.raises(ValueError, match=r"\(160, 96\)"):
        small(image_size=(96, 160))(noise(1, 3, 160, 96))


def test_soft_split_equals_loops():
    """Zero padding on both sides, (channel, row, column) order, row-major tokens."""
    x = noise(1, 2, 9, 14)
    for kernel, stride, padding in t2t_vit.SPLITS:
        split = t2t_vit.SoftSplit(kernel, stride, padding)
        rows, columns = split.grid((9, 14))
        patches = split(x)
        assert patches.shape == (1, rows * columns, 2 * kernel * kernel)
        for token in range(rows * columns):
            top = token // columns * stride - padding
            left = token % columns * stride - padding
            expected = [
                x[0, c, i, j].item() if 0 <= i < 9 and 0 <= j < 14 else 0.0
                for c in range(2)
                for i in range(top, top + kernel)
                for j in range(left, left + kernel)
            ]
            assert patches[0, token].tolist() == expected


@pytest.mark.parametrize("token_type", TOKEN_TYPES)
def test_non_square_grid_keeps_its_orientation(token_type):
    """A changed top right pixel changes the top right token of a 2 x 4 grid alone.

    With attention's projection at zero no token sees beyond its own patch.
    """
    module = small(token_type, image_size=(32, 64)).tokens_to_token
    for layer in (module.attention1, module.attention2):
        proj = layer.proj if token_type == "performer" else layer.attn.proj
        torch.nn.init.zeros_(proj.weight)
    x = noise(1, 3, 32, 64)
    changed = x.clone()
    changed[:, :, 0, -1] += 1.0
    assert t2t_vit.token_grid((32, 64)) == (2, 4)
    with torch.no_grad():
        difference = (module(changed) - module(x)).abs().amax(dim=-1).reshape(2, 4)
    assert (difference > 0).nonzero().tolist() == [[0, 3]]


@pytest.mark.parametrize("in_width", [147, 576])
def test_transformer_token_layer_by_hand(in_width):
    """Softmax scale is the input width's; q, k, v order; no bias; v is the residual."""
    layer = t2t_vit.TransformerTokenLayer(in_width, dropout=0.0)
    layer = randomize_(layer, seed=2).double().eval()
    x = noise(1, 5, in_width, dtype=torch.float64)
    with torch.no_grad():
        normed = [layer_norm(token, layer.norm1) for token in x[0]]
        wq, wk, wv = layer.attn.qkv.weight.split(64)
        assert layer.attn.qkv.bias is None
        expected = []
        for token in normed:
            scores = [wq @ token @ (wk @ other) for other in normed]
            scores = torch.stack(scores) / math.sqrt(in_width)
            weights = scores.exp() / scores.exp().sum()
            pairs = zip(weights, normed, strict=True)
            y = sum(weight * (wv @ other) for weight, other in pairs)
            proj, fc1, fc2 = layer.attn.proj, layer.mlp.fc1, layer.mlp.fc2
            y = wv @ token + proj.weight @ y + proj.bias
            hidden = gelu(fc1.weight @ layer_norm(y, layer.norm2) + fc1.bias)
            expected.append(y + fc2.weight @ hidden + fc2.bias)
        torch.testing.assert_close(layer(x)[0], torch.stack(expected), **EXACT)


@pytest.mark.parametrize("in_width", [147, 576])
def test_performer_token_layer_by_hand(in_width):
    """Equals the quadratic form sum_j phi(q_i).phi(k_j) v_j over its own sum."""
    layer = t2t_vit.PerformerTokenLayer(in_width, dropout=0.0)
    layer = randomize_(layer, seed=3).double().eval()
    x = noise(1, 5, in_width, dtype=torch.float64)

    def phi(vector):
        values = [
            math.exp(float(row @ vector) - float(vector @ vector) / 2)
            for row in layer.w
        ]
        return torch.tensor(values, dtype=torch.float64) / math.sqrt(32)

    with torch.no_grad():
        kqv = [
            (layer.kqv.weight @ layer_norm(token, layer.norm1) + layer.kqv.bias)
            for token in x[0]
        ]
        expected = []
        for token in kqv:
            kernel = [float(phi(token[64:128]) @ phi(other[:64])) for other in kqv]
            pairs = zip(kernel, kqv, strict=True)
            y = sum(weight * other[128:] for weight, other in pairs)
            y = y / (sum(kernel) + 1e-8)
            y = token[128:] + layer.proj.weight @ y + layer.proj.bias
            first, second = layer.mlp[0], layer.mlp[2]
            hidden = gelu(first.weight @ layer_norm(y, layer.norm2) + first.bias)
            expected.append(y + second.weight @ hidden + second.bias)
        torch.testing.assert_close(layer(x)[0], torch.stack(expected), **EXACT)


def test_performer_attention_equals_dense_matrix():
    """Also with k and q so long that the 1e-8 decides the result."""
    layer = randomize_(t2t_vit.PerformerTokenLayer(147, 0.0), seed=4).double().eval()
    x = noise(2, 40, 147, dtype=torch.float64)
    for gain in (1.0, 2.5):
        with torch.no_grad():
            layer.kqv.weight[:128] *= gain
            k, q, v = layer.kqv(x).split(64, dim=-1)
            matrix = layer.features(q) @ layer.features(k).transpose(1, 2)
            mixed = matrix @ v / (matrix.sum(dim=-1, keepdim=True) + 1e-8)
            expected = v + mixed @ layer.proj.weight.T + layer.proj.bias
            torch.testing.assert_close(layer.attend(x), expected, **EXACT)
    assert matrix.sum(dim=-1).min() < 1e-7  # the second gain did reach the epsilon


def test_performer_features_have_orthogonal_rows():
    """As constructed, and after `randomize_`."""
    randomized = small().tokens_to_token.attention2
    for layer in (t2t_vit.PerformerTokenLayer(147, 0.0), randomized):
        w = layer.w
        # float32 orthogonalisation of unit rows, then times 32
        torch.testing.assert_close(w @ w.T, 32 * torch.eye(32), rtol=0, atol=1e-4)


@pytest.mark.parametrize("positions, dim", [(17, 64), (197, 256), (5, 7)])
def test_sinusoid_equals_scalar_loop(positions, dim):
    expected = [
        [
            (math.sin, math.cos)[j % 2](pos / 10000 ** (2 * (j // 2) / dim))
            for j in range(dim)
        ]
        for pos in range(positions)
    ]
    table = t2t_vit.sinusoid_table(positions, dim)
    assert table.shape == (1, positions, dim)
    # rounding to float32 of values in [-1, 1]
    torch.testing.assert_close(table[0], torch.tensor(expected), rtol=0, atol=1e-7)


def test_block_by_hand():
    """q, k, v order, head-dim scale, contiguous heads, pre-norm residuals."""
    block = t2t_vit.Block(12, 3, 2, 0.0, 0.0, 0.0)
    block = randomize_(block, seed=5).double().eval()
    x = noise(1, 4, 12, dtype=torch.float64)
    with torch.no_grad():
        normed = [layer_norm(token, block.norm1) for token in x[0]]
        wq, wk, wv = block.attn.qkv.weight.split(12)
        expected = []
        for token, skip in zip(normed, x[0], strict=True):
            heads = []
            for h in range(3):
                part = slice(4 * h, 4 * h + 4)
                scores = [wq[part] @ token @ (wk[part] @ other) for other in normed]
                weights = (torch.stack(scores) / 2).softmax(dim=0)  # sqrt(4) = 2
                pairs = zip(weights, normed, strict=True)
                heads.append(
                    sum(weight * (wv[part] @ other) for weight, other in pairs)
                )
            proj, fc1, fc2 = block.attn.proj, block.mlp.fc1, block.mlp.fc2
            y = skip + proj.weight @ torch.cat(heads) + proj.bias
            hidden = gelu(fc1.weight @ layer_norm(y, block.norm2) + fc1.bias)
            expected.append(y + fc2.weight @ hidden + fc2.bias)
        torch.testing.assert_close(block(x)[0], torch.stack(expected), **EXACT)


def test_whole_model_is_the_sum_of_its_parts():
    """Class token first, positions added to all, final norm, head on token 0."""
    model = small().double()
    x = noise(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        tokens = model.tokens_to_token(x)
        y = torch.cat([model.cls_token.repeat(2, 1, 1), tokens], 1) + model.pos_embed
        for block in model.blocks:
            y = block(y)
        rows = [[layer_norm(token, model.norm) for token in sample] for sample in y]
        y = torch.stack([torch.stack(row) for row in rows])
        torch.testing.assert_close(model.forward_features(x), y, **EXACT)
        logits = y[:, 0] @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model(x), logits, **EXACT)


def test_stochastic_depth_ramp_and_per_sample_mask():
    rates = [b.drop_path.rate for b in small(depth=5, drop_path_rate=0.2).blocks]
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    layer = t2t_vit.StochasticDepth(0.25)
    x = torch.ones(4000, 2, 3)
    with torch.random.fork_rng(devices=[]):
        # the layer draws from the global generator: lend it a local one's state
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        flat = layer.train()(x).flatten(1)
    assert (flat == flat[:, :1]).all()
    assert flat.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    # 5 standard deviations of a mean of 4000 draws of deviation 0.58
    assert flat[:, 0].mean().item() == pytest.approx(1.0, abs=0.046)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    "token_type, default", [("performer", 0.1), ("transformer", 0)]
)
def test_token_dropout_default(token_type, default):
    for given, expected in ((None, default), (0.3, 0.3), (0.0, 0.0)):
        layer = small(token_type, token_dropout=given).tokens_to_token.attention1
        performer = token_type == "performer"
        after_projection = layer.drop if performer else layer.attn.proj_drop
        after_mlp = layer.mlp[3] if performer else layer.mlp.drop
        assert (after_projection.p, after_mlp.p) == (expected, expected)


def test_randomize_depends_on_the_seed_only():
    first, again = small(), randomize_(small().double(), seed=1)
    other = randomize_(small(), seed=2)
    fresh = t2t_vit.sinusoid_table(17, 64)
    for name, value in first.state_dict().items():
        assert torch.equal(value.double(), again.state_dict()[name]), name
        same_as_other = torch.equal(value, other.state_dict()[name])
        assert same_as_other == (name == "pos_embed"), name
    assert torch.equal(first.pos_embed, fresh)


@pytest.mark.parametrize("name", ["T2TViT7", "T2TViTt24"])
def test_randomized_activations_stay_moderate(name):
    model = randomize_(build(name, image_size=(64, 64)), seed=1).eval()
    spreads = []
    for block in model.blocks:
        block.register_forward_hook(lambda *a: spreads.append(a[2].std().item()))
    with torch.no_grad():
        logits = model(noise(2, 3, 64, 64))
    assert min(spreads) > 1.0 and max(spreads) < 10.0
    assert 0.5 < logits.std().item() < 2.0


def _swap_first_two_thirds(linear):
    order = torch.arange(linear.weight.shape[0]).unflatten(0, (3, -1))[[1, 0, 2]]
    linear.weight.data = linear.weight.data[order.flatten()]
    if linear.bias is not None:
        linear.bias.data = linear.bias.data[order.flatten()]


MUTATIONS = {
    "performer": {
        "q, k, v order": lambda m: _swap_first_two_thirds(
            m.tokens_to_token.attention2.kqv
        ),
        "no kqv bias": lambda m: m.tokens_to_token.attention1.kqv.bias.data[
            :128
        ].zero_(),
        "w not scaled": lambda m: m.tokens_to_token.attention1.w.data.div_(32**0.5),
    },
    "transformer": {
        "k, q, v order": lambda m: _swap_first_two_thirds(
            m.tokens_to_token.attention1.attn.qkv
        ),
        "scale 64": lambda m: setattr(
            m.tokens_to_token.attention1.attn, "scale", 1 / 8
        ),
        "block scale": lambda m: setattr(m.blocks[1].attn, "scale", 64**-0.5),
        "block k, q, v": lambda m: _swap_first_two_thirds(m.blocks[1].attn.qkv),
    },
}


@pytest.mark.parametrize(
    "token_type, mutation", [(t, m) for t, named in MUTATIONS.items() for m in named]
)
def test_randomized_logits_reveal_a_mistake(token_type, mutation):
    """Each plausible mistake moves the logits far beyond float32 error (about 1e-5)."""
    model = small(token_type)
    wrong = copy.deepcopy(model)
    MUTATIONS[token_type][mutation](wrong)
    x = noise(2, 3, 64, 64)
    with torch.no_grad():
        assert (wrong(x) - model(x)).abs().max() > 0.05
