"""The ablation designs against loops from their description, and by name and shape."""

import copy

import pytest
import torch
from torch.nn import functional as F

from . import blocks, t2t_vit
from .checks import EXACT, dense, gelu, layer_norm, noise
from .t2t_vit import VARIANTS, build, randomize_

pytestmark = pytest.mark.nightly

# small models with the parts of one variant each; every block keeps its design
SMALL = {
    "T2TViT14ResNeXt": dict(embed_dim=64, depth=3, num_heads=16),
    "T2TViT14Wide": dict(embed_dim=96, depth=2),
    "T2TViT14SE": dict(embed_dim=64, depth=3, num_heads=2),
    "T2TViT16Ghost": dict(embed_dim=64, depth=3, num_heads=2),
    "T2TViTDense": dict(embed_dim=32, depth=(2, 1, 2), num_heads=4, growth=16),
    "T2TViTc14": dict(embed_dim=64, depth=3, num_heads=2),
}


def small(name, **kwargs):
    settings = {**SMALL[name], "image_size": (64, 64), "num_classes": 10}
    return randomize_(build(name, **{**settings, **kwargs}), seed=1).eval()


def double(module, seed=2):
    return randomize_(module, seed=seed).double().eval()


def per_token(function, x):
    """`function` of each token vector of x, (1, tokens, width)."""
    return torch.stack([function(token) for token in x[0]])[None]


def attend(q, k, v, heads):
    """Softmax attention of lists of token vectors, one head and query at a time."""
    width = len(q[0]) // heads
    rows = []
    for query in q:
        row = []
        for h in range(heads):
            part = slice(width * h, width * (h + 1))
            scores = torch.stack([query[part] @ key[part] for key in k])
            weights = (scores / width**0.5).exp()
            pairs = zip(weights / weights.sum(), v, strict=True)
            row.append(sum(weight * value[part] for weight, value in pairs))
        rows.append(torch.cat(row))
    return rows


def test_squeeze_excitation_by_hand():
    """After the projection: mean of all tokens, dense, ReLU, dense, sigmoid, scale."""
    block = double(blocks.SqueezeExcitationBlock(32, 2, 2, 0.0, 0.0, 0.0))
    attn = block.attn
    x = noise(1, 5, 32, dtype=torch.float64)
    with torch.no_grad():
        qkv = [attn.qkv.weight @ layer_norm(token, block.norm1) for token in x[0]]
        rows = attend(*([t[i : i + 32] for t in qkv] for i in (0, 32, 64)), heads=2)
        rows = [attn.proj.weight @ row + attn.proj.bias for row in rows]
        squeezed = attn.se_layer.fc[0].weight @ (sum(rows) / len(rows))
        excited = attn.se_layer.fc[2].weight @ squeezed.clamp(min=0)
        gate = 1 / (1 + torch.exp(-excited))
        y = x + torch.stack([row * gate for row in rows])
        normed = per_token(lambda token: layer_norm(token, block.norm2), y)
        torch.testing.assert_close(block(x), y + block.mlp(normed), **EXACT)
    assert attn.se_layer.fc[0].weight.shape == (2, 32)  # the ratio is 16


@pytest.mark.parametrize("heads", [1, 3, 6])
def test_ghost_attention_by_hand(heads):
    """Computed halves come before scaled halves, and heads are cut after that."""
    attn = double(blocks.GhostBlock(12, heads, 3, 0.0, 0.0, 0.0)).attn
    x = noise(1, 4, 12, dtype=torch.float64)
    with torch.no_grad():
        parts = []
        for letter in "qkv":
            linear = getattr(attn, letter)
            factors = getattr(attn, f"cheap_operation_{letter}").weight
            assert linear.weight.shape == (6, 12) and linear.bias is None
            assert factors.shape == (6, 1, 1)
            half = [linear.weight @ token for token in x[0]]
            parts.append([torch.cat([t, t * factors[:, 0, 0]]) for t in half])
        rows = attend(*parts, heads)
        expected = torch.stack([attn.proj.weight @ r + attn.proj.bias for r in rows])
        y, v = attn(x)
        torch.testing.assert_close(y[0], expected, **EXACT)
        torch.testing.assert_close(v[0], torch.stack(parts[2]), **EXACT)


def test_ghost_mlp_by_hand():
    """The scaled copies start from the activated part and are activated again."""
    mlp = double(blocks.GhostBlock(12, 3, 3, 0.0, 0.0, 0.0)).mlp
    x = noise(1, 4, 12, dtype=torch.float64)

    def forward(token):
        first = gelu(mlp.fc1.weight @ token + mlp.fc1.bias)
        second = gelu(mlp.cheap_operation2.weight[:, 0, 0] * first)
        third = gelu(mlp.cheap_operation3.weight[:, 0, 0] * first)
        return mlp.fc2.weight @ torch.cat([first, second, third]) + mlp.fc2.bias

    with torch.no_grad():
        torch.testing.assert_close(mlp(x), per_token(forward, x), **EXACT)
    with pytest.raises(ValueError, match="hidden 24, expected 3 x 12"):
        blocks.GhostBlock(12, 3, 2, 0.0, 0.0, 0.0)


def test_channel_scale_is_a_depthwise_convolution():
    scale = double(blocks.ChannelScale(6))
    x = noise(2, 4, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = F.conv1d(x.transpose(1, 2), scale.weight, groups=6).transpose(1, 2)
        torch.testing.assert_close(scale(x), expected, **EXACT)


def test_dense_block_appends_to_its_unchanged_input():
    block = double(blocks.DenseBlock(12, 5, 3, 2, 0.0, 0.0, 0.0))
    inner = blocks.Block(12, 3, 2, 0.0, 0.0, 0.0).double().eval()
    inner.load_state_dict(block.state_dict(), strict=False)
    x = noise(1, 4, 12, dtype=torch.float64)
    linear = block.dense_linear
    with torch.no_grad():
        new = per_token(lambda t: linear.weight @ t + linear.bias, inner(x))
        y = block(x)
        assert torch.equal(y[..., :12], x)
        torch.testing.assert_close(y[..., 12:], new, **EXACT)


def test_transition_by_hand():
    transition = double(blocks.Transition(10))
    x = noise(1, 3, 10, dtype=torch.float64)
    linear = transition.linear
    assert linear.weight.shape == (5, 10)
    with torch.no_grad():
        expected = per_token(lambda t: gelu(linear.weight @ t + linear.bias), x)
        torch.testing.assert_close(transition(x), expected, **EXACT)


def test_convolution_tokens_equal_soft_splits_and_dense_layers():
    """On a non-square image; nothing but the convolutions' biases in between."""
    tokens = double(t2t_vit.ConvolutionTokens(3, 12))
    x = noise(2, 3, 36, 64, dtype=torch.float64)
    convolutions = (tokens.soft_split0, tokens.soft_split1, tokens.project)
    with torch.no_grad():
        y = x
        for convolution, split in zip(convolutions, t2t_vit.SPLITS, strict=True):
            split = t2t_vit.SoftSplit(*split)
            grid = split.grid(y.shape[2:])
            kernel = convolution.weight.flatten(1)
            y = (split(y) @ kernel.T + convolution.bias).transpose(1, 2)
            y = y.unflatten(2, grid)
        assert y.shape == (2, 12, 3, 4)
        expected = y.flatten(2).transpose(1, 2)
        torch.testing.assert_close(tokens(x), expected, **EXACT)


def block_names(name, at):
    """Parameter names of a block of the variant `name` at `at`."""
    names = dense(f"{at}.norm1", f"{at}.norm2", f"{at}.attn.proj")
    names |= dense(f"{at}.mlp.fc1", f"{at}.mlp.fc2")
    if name == "T2TViT16Ghost":
        for letter in "qkv":
            names |= {f"{at}.attn.{letter}.weight"}
            names |= {f"{at}.attn.cheap_operation_{letter}.weight"}
        return names | {f"{at}.mlp.cheap_operation{i}.weight" for i in (2, 3)}
    names |= {f"{at}.attn.qkv.weight"}
    if name == "T2TViT14SE":
        names |= {f"{at}.attn.se_layer.fc.{i}.weight" for i in (0, 2)}
    if name == "T2TViTDense":
        names |= dense(f"{at}.dense_linear")
    return names


@pytest.mark.parametrize("name", SMALL)
def test_official_state_dict_names(name):
    with torch.device("meta"):
        state = build(name).state_dict()
    expected = {"cls_token", "pos_embed"} | dense("norm", "head")
    expected |= dense("tokens_to_token.project")
    if name == "T2TViTc14":
        expected |= dense("tokens_to_token.soft_split0", "tokens_to_token.soft_split1")
    else:
        for at in ("tokens_to_token.attention1", "tokens_to_token.attention2"):
            expected |= dense(f"{at}.norm1", f"{at}.norm2", f"{at}.kqv", f"{at}.proj")
            expected |= dense(f"{at}.mlp.0", f"{at}.mlp.2") | {f"{at}.w"}
    if name == "T2TViTDense":
        transitions = (3, 10, 17)
        for i in range(3 + 1 + 6 + 1 + 6 + 1 + 4):
            at = f"blocks.{i}"
            in_transition = i in transitions
            expected |= (
                dense(f"{at}.linear") if in_transition else block_names(name, at)
            )
    else:
        for i in range(VARIANTS[name]["depth"]):
            expected |= block_names(name, f"blocks.{i}")
    assert set(state) == expected


SHAPES = {
    "T2TViT14SE": {
        "blocks.13.attn.se_layer.fc.0.weight": (24, 384),
        "blocks.13.attn.se_layer.fc.2.weight": (384, 24),
    },
    "T2TViT16Ghost": {
        "blocks.15.attn.k.weight": (192, 384),
        "blocks.15.attn.cheap_operation_k.weight": (192, 1, 1),
        "blocks.15.mlp.fc1.weight": (384, 384),
        "blocks.15.mlp.cheap_operation3.weight": (384, 1, 1),
        "blocks.15.mlp.fc2.weight": (384, 1152),
    },
    "T2TViTDense": {
        "pos_embed": (1, 197, 128),
        "blocks.2.dense_linear.weight": (64, 256),
        "blocks.3.linear.weight": (160, 320),
        "blocks.10.linear.weight": (272, 544),
        "blocks.17.linear.weight": (328, 656),
        "blocks.21.attn.qkv.weight": (3 * 520, 520),
        "blocks.21.mlp.fc1.weight": (2 * 520, 520),
        "norm.weight": (584,),
        "head.weight": (1000, 584),
    },
    "T2TViTc14": {
        "tokens_to_token.soft_split0.weight": (64, 3, 7, 7),
        "tokens_to_token.soft_split1.weight": (64, 64, 3, 3),
        "tokens_to_token.project.weight": (384, 64, 3, 3),
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_official_shapes(name):
    with torch.device("meta"):
        state = build(name).state_dict()
    assert {key: tuple(state[key].shape) for key in SHAPES[name]} == SHAPES[name]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "size, channels, tokens",
    [((64, 64), 3, 16), ((96, 160), 3, 60), ((100, 100), 3, 49), ((64, 64), 1, 16)],
)
def test_output_shapes(name, size, channels, tokens):
    model = small(name, image_size=size, in_channels=channels)
    width = model.norm.weight.shape[0]
    x = noise(2, channels, *size)
    with torch.no_grad():
        assert model.forward_features(x).shape == (2, 1 + tokens, width)
        assert model(x).shape == (2, 10)


def test_dense_stages_share_a_rate_of_a_twelve_step_ramp():
    model = small("T2TViTDense", depth=(2, 1, 2), drop_path_rate=0.11)
    rates = [b.drop_path.rate for b in model.blocks if hasattr(b, "drop_path")]
    assert rates == pytest.approx([0.0, 0.0, 0.01, 0.02, 0.02])


@pytest.mark.parametrize("name", ["T2TViT14SE", "T2TViT16Ghost"])
def test_stochastic_depth_ramp(name):
    rates = [b.drop_path.rate for b in small(name, drop_path_rate=0.2).blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("name", SMALL)
def test_token_dropout_default(name):
    kwargs = dict(SMALL[name], image_size=(32, 32))
    model = build(name, **kwargs)
    dropouts = [m for m in model.tokens_to_token.modules() if hasattr(m, "p")]
    expected = [] if name == "T2TViTc14" else 4 * [0.1]
    assert [m.p for m in dropouts] == expected


def test_initial_values_that_are_not_the_usual_ones():
    """Channel scales are uniform(-1, 1)."""
    torch.manual_seed(0)
    scale = blocks.ChannelScale(4000).weight
    assert -1 <= scale.min() < -0.99 and 0.99 < scale.max() <= 1
    # 5 standard deviations of a mean of 4000 uniform draws
    assert abs(scale.mean()) < 5 * (1 / 3 / 4000) ** 0.5


@pytest.mark.parametrize("name", SMALL)
def test_randomized_logits_are_well_conditioned(name):
    """Logits of unit size, with a float32 error far below the 1e-4 of parity tests."""
    model = small(name)
    x = noise(2, 3, 64, 64)
    with torch.no_grad():
        logits = model(x)
        exact = copy.deepcopy(model).double()(x.double())
    assert 0.5 < logits.std().item() < 2.0
    assert (logits - exact).abs().max() < 2e-5


def _patch(method):
    """A mutation that replaces the forward of one module by `method`."""

    def mutate(module):
        module.forward = method.__get__(module)

    return mutate


def _swap(first, second):
    first.data, second.data = second.data.clone(), first.data.clone()


def _mean_without_class_token(self, x):
    return x * self.fc(x[:, 1:].mean(dim=1, keepdim=True))


def _scaled_halves_first(self, x):
    q, k, v = self.q(x), self.k(x), self.v(x)
    q = torch.cat([self.cheap_operation_q(q), q], dim=-1)
    k = torch.cat([self.cheap_operation_k(k), k], dim=-1)
    v = torch.cat([self.cheap_operation_v(v), v], dim=-1)
    y = blocks.softmax_attention(q, k, v, self.num_heads, self.scale, self.attn_drop)
    return self.proj(y), v


def _second_part_not_activated(self, x):
    first = F.gelu(self.fc1(x))
    second, third = self.cheap_operation2(first), F.gelu(self.cheap_operation3(first))
    return self.fc2(torch.cat([first, second, third], dim=-1))


def _copies_of_the_linear_part(self, x):
    x = self.fc1(x)
    parts = (x, self.cheap_operation2(x), self.cheap_operation3(x))
    return self.fc2(torch.cat([F.gelu(part) for part in parts], dim=-1))


def _new_channels_first(self, x):
    return torch.cat([self.dense_linear(blocks.Block.forward(self, x)), x], dim=-1)


def _same_padding(self, x):
    x = F.pad(x, (1, 2, 1, 2))
    return F.conv2d(x, self.weight, self.bias, stride=4)


def _swap_axes(convolution):
    convolution.weight.data = convolution.weight.data.transpose(2, 3).contiguous()


MUTATIONS = {
    "T2TViT14ResNeXt": {
        "fewer heads": lambda m: setattr(m.blocks[1].attn, "num_heads", 8),
        "scale of 6 heads": lambda m: setattr(
            m.blocks[1].attn, "scale", (64 / 6) ** -0.5
        ),
    },
    "T2TViT14SE": {
        "no gate": lambda m: setattr(m.blocks[1].attn, "se_layer", None),
        "patch tokens' mean": lambda m: _patch(_mean_without_class_token)(
            m.blocks[1].attn.se_layer
        ),
        "GELU": lambda m: setattr(m.blocks[1].attn.se_layer.fc, "1", torch.nn.GELU()),
        "gates of another block": lambda m: _swap(
            m.blocks[0].attn.se_layer.fc[2].weight,
            m.blocks[1].attn.se_layer.fc[2].weight,
        ),
    },
    "T2TViT16Ghost": {
        # (a swap of q's and k's scales would not show: only their product counts)
        "q and v scales swapped": lambda m: _swap(
            m.blocks[1].attn.cheap_operation_q.weight,
            m.blocks[1].attn.cheap_operation_v.weight,
        ),
        "no q scale": lambda m: m.blocks[1].attn.cheap_operation_q.weight.data.fill_(
            1.0
        ),
        "no v scale": lambda m: m.blocks[1].attn.cheap_operation_v.weight.data.fill_(
            1.0
        ),
        "q and k swapped": lambda m: _swap(
            m.blocks[1].attn.q.weight, m.blocks[1].attn.k.weight
        ),
        "scaled halves first": lambda m: _patch(_scaled_halves_first)(m.blocks[1].attn),
        "2 and 3 swapped": lambda m: _swap(
            m.blocks[1].mlp.cheap_operation2.weight,
            m.blocks[1].mlp.cheap_operation3.weight,
        ),
        "one GELU less": lambda m: _patch(_second_part_not_activated)(m.blocks[1].mlp),
        "copies of the linear part": lambda m: _patch(_copies_of_the_linear_part)(
            m.blocks[1].mlp
        ),
    },
    "T2TViTDense": {
        "new channels first": lambda m: _patch(_new_channels_first)(m.blocks[0]),
        "transition without GELU": lambda m: _patch(lambda self, x: self.linear(x))(
            m.blocks[2]
        ),
        "no dense bias": lambda m: m.blocks[0].dense_linear.bias.data.zero_(),
        "no transition bias": lambda m: m.blocks[2].linear.bias.data.zero_(),
        "scale of the first width": lambda m: setattr(
            m.blocks[1].attn, "scale", m.blocks[0].attn.scale
        ),
    },
    "T2TViTc14": {
        "same padding": lambda m: _patch(_same_padding)(m.tokens_to_token.soft_split0),
        "GELU between": lambda m: _patch(
            lambda self, x: F.gelu(self._conv_forward(x, self.weight, self.bias))
        )(m.tokens_to_token.soft_split1),
        "no bias": lambda m: m.tokens_to_token.soft_split0.bias.data.zero_(),
        "kernel transposed": lambda m: _swap_axes(m.tokens_to_token.project),
    },
}


@pytest.mark.parametrize(
    "name, mutation", [(n, m) for n, named in MUTATIONS.items() for m in named]
)
def test_randomized_logits_reveal_a_mistake(name, mutation):
    """Each plausible mistake moves the logits far beyond float32 error (about 1e-5)."""
    model = small(name)
    wrong = copy.deepcopy(model)
    MUTATIONS[name][mutation](wrong)
    x = noise(2, 3, 64, 64)
    with torch.no_grad():
        assert (wrong(x) - model(x)).abs().max() > 0.01


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_moves_the_logits(name):
    model = small(name)
    model(noise(2, 3, 64, 64)).square().sum().backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().max() > 1e-3, key


def test_other_image_size_is_refused():
    with pytest.raises(ValueError, match=r"\(160, 96\)"):
        small("T2TViTc14", image_size=(96, 160))(noise(1, 3, 160, 96))
