"""What the parity tests rely on: with random weights every mistake shows in an oracle's
logits, and rounding does not."""

import copy
from operator import attrgetter

import pytest
import torch
from torch.nn import functional as F

from . import blocks, t2t_vit, vit
from .randomize import randomize_

pytestmark = pytest.mark.nightly

# Small models with the parts of one variant each.
SMALL = {
    "T2TViT7": dict(embed_dim=64, depth=3, num_heads=2),
    "T2TViTt14": dict(embed_dim=64, depth=3, num_heads=2, mlp_ratio=2),
    "T2TViT14ResNeXt": dict(embed_dim=64, depth=3, num_heads=16),
    "T2TViT14Wide": dict(embed_dim=96, depth=2),
    "T2TViT14SE": dict(embed_dim=64, depth=3, num_heads=2),
    "T2TViT16Ghost": dict(embed_dim=64, depth=3, num_heads=2),
    "T2TViTDense": dict(embed_dim=32, depth=(2, 1, 2), num_heads=4, growth=16),
    "T2TViTc14": dict(embed_dim=64, depth=3, num_heads=2),
    "ViTB16": dict(embed_dim=64, depth=3, num_heads=2),
}


def small(name):
    reference = vit if name in vit.VARIANTS else t2t_vit
    model = reference.build(name, image_size=(64, 64), num_classes=10, **SMALL[name])
    return randomize_(model, seed=1).eval()


def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_logits_show_every_parameter_and_no_rounding(name):
    """Of unit size, with a float32 error far below the 1e-4 of parity tests."""
    model, x = small(name), images()
    logits = model(x)
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(x.double())
    assert 0.5 < logits.std().item() < 2.0
    assert (logits - exact).abs().max() < 2e-5
    logits.square().sum().backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().max() > 1e-3, key


def test_another_image_size_is_refused():
    with pytest.raises(ValueError, match=r"\(32, 128\)"):
        small("T2TViT7")(images().reshape(2, 3, 32, 128))


# === Plausible mistakes ===
def having(name, value):
    return lambda module: setattr(module, name, value)


def computing(forward):
    return lambda module: setattr(module, "forward", forward.__get__(module))


def short_rows(parameter):
    parameter.data.mul_(32**-0.5)


def swapping(first, second):
    """The weights of two parts."""

    def swap(module):
        a, b = (attrgetter(f"{part}.weight")(module) for part in (first, second))
        a.data, b.data = b.data.clone(), a.data.clone()

    return swap


def swap_thirds(linear):
    """The first two of q, k and v, or of k, q and v."""
    for parameter in linear.parameters():
        first, second, third = parameter.data.chunk(3)
        parameter.data = torch.cat([second, first, third])


def swap_axes(convolution):
    convolution.weight.data = convolution.weight.data.transpose(2, 3).contiguous()


def class_token_last(model):
    model.pos_embed.data = model.pos_embed.data.roll(-1, dims=1)


def larger_epsilon(model):
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5


def mean_of_patch_tokens(self, x):
    return x * self.fc(x[:, 1:].mean(dim=1, keepdim=True))


def unscaled(self, x):
    return x


def scaled_halves_first(self, x):
    q, k, v = self.q(x), self.k(x), self.v(x)
    q = torch.cat([self.cheap_operation_q(q), q], dim=-1)
    k = torch.cat([self.cheap_operation_k(k), k], dim=-1)
    v = torch.cat([self.cheap_operation_v(v), v], dim=-1)
    y = blocks.softmax_attention(q, k, v, self.num_heads, self.scale)
    return self.proj(y), v


def one_gelu_less(self, x):
    first = F.gelu(self.fc1(x))
    second, third = self.cheap_operation2(first), F.gelu(self.cheap_operation3(first))
    return self.fc2(torch.cat([first, second, third], dim=-1))


def copies_of_the_linear_part(self, x):
    x = self.fc1(x)
    parts = (x, self.cheap_operation2(x), self.cheap_operation3(x))
    return self.fc2(torch.cat([F.gelu(part) for part in parts], dim=-1))


def new_channels_first(self, x):
    return torch.cat([self.dense_linear(blocks.Block.forward(self, x)), x], dim=-1)


def without_gelu(self, x):
    return self.linear(x)


def same_padding(self, x):
    return F.conv2d(F.pad(x, (1, 2, 1, 2)), self.weight, self.bias, stride=4)


def gelu_after(self, x):
    return F.gelu(self._conv_forward(x, self.weight, self.bias))


MISTAKES = [  # model, part, mistake
    ("T2TViT7", "tokens_to_token.attention2.kqv", swap_thirds),
    ("T2TViT7", "tokens_to_token.attention1.w", short_rows),
    ("T2TViTt14", "tokens_to_token.attention1.attn.qkv", swap_thirds),
    ("T2TViTt14", "tokens_to_token.attention1.attn", having("scale", 64**-0.5)),
    ("T2TViTt14", "blocks.1.attn", having("scale", 64**-0.5)),
    ("T2TViTt14", "blocks.1.attn.qkv", swap_thirds),
    ("T2TViT14ResNeXt", "blocks.1.attn", having("num_heads", 8)),
    ("T2TViT14ResNeXt", "blocks.1.attn", having("scale", (64 / 6) ** -0.5)),
    ("T2TViT14SE", "blocks.1.attn", having("se_layer", None)),
    ("T2TViT14SE", "blocks.1.attn.se_layer", computing(mean_of_patch_tokens)),
    ("T2TViT14SE", "blocks.1.attn.se_layer.fc", having("1", torch.nn.GELU())),
    ("T2TViT14SE", "blocks", swapping("0.attn.se_layer.fc.2", "1.attn.se_layer.fc.2")),
    # A swap of q's and k's scales would not show: only their product counts.
    (
        "T2TViT16Ghost",
        "blocks.1.attn",
        swapping("cheap_operation_q", "cheap_operation_v"),
    ),
    ("T2TViT16Ghost", "blocks.1.attn.cheap_operation_v", computing(unscaled)),
    ("T2TViT16Ghost", "blocks.1.attn", swapping("q", "k")),
    ("T2TViT16Ghost", "blocks.1.attn", computing(scaled_halves_first)),
    ("T2TViT16Ghost", "blocks.1.mlp", swapping("cheap_operation2", "cheap_operation3")),
    ("T2TViT16Ghost", "blocks.1.mlp", computing(one_gelu_less)),
    ("T2TViT16Ghost", "blocks.1.mlp", computing(copies_of_the_linear_part)),
    ("T2TViTDense", "blocks.0", computing(new_channels_first)),
    ("T2TViTDense", "blocks.2", computing(without_gelu)),
    ("T2TViTDense", "blocks.1.attn", having("scale", 8**-0.5)),
    ("T2TViTc14", "tokens_to_token.soft_split0", computing(same_padding)),
    ("T2TViTc14", "tokens_to_token.soft_split1", computing(gelu_after)),
    ("T2TViTc14", "tokens_to_token.project", swap_axes),
    ("ViTB16", "", class_token_last),
    ("ViTB16", "patch_embed.proj", swap_axes),
    ("ViTB16", "", larger_epsilon),
]


@pytest.mark.parametrize("name, part, mistake", MISTAKES)
def test_a_mistake_shows(name, part, mistake):
    """By far more than the 1e-4 of parity tests."""
    model = small(name)
    wrong = copy.deepcopy(model)
    mistake(attrgetter(part)(wrong) if part else wrong)
    with torch.no_grad():
        difference = (wrong(images()) - model(images())).abs().max()
    assert difference > (2e-3 if mistake is larger_epsilon else 0.01)
