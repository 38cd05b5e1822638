"""Random weights under which every parameter of an oracle shows in its logits."""

import math

import torch
from torch import nn


def _matrix_gain(name):
    """Factor on a kernel with outputs of unit size; kqv and qkv are handled apart."""
    if ".attn.q." in name or ".attn.k." in name:
        return 1.5  # as for a fused qkv
    if name.endswith("se_layer.fc.2.weight"):
        return 4.0  # a mean over tokens is small, and gates near 1/2 tell nothing
    if name.endswith("patch_embed.proj.weight"):
        return 0.02  # of the size of the embeddings that it is added to
    return 1.0


@torch.no_grad()
def randomize_(model, seed):
    """Refills all of `model` but a fixed `pos_embed`, so every weight shows.

    A fresh model cannot reveal a missing bias or a wrong scale: its biases are 0 and
    its kernels tiny. Values depend on `seed` only. Returns `model`.
    """
    generator = torch.Generator().manual_seed(seed)
    learned_positions = model.pos_embed.requires_grad
    for name, parameter in model.named_parameters():
        if name == "pos_embed" and not learned_positions:
            continue
        # float32 on the CPU always: a float64 or GPU model gets the same values
        value = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
        if name.endswith(".w"):
            gain = math.sqrt(parameter.shape[0])
            nn.init.orthogonal_(value, gain=gain, generator=generator)
        elif name in ("cls_token", "pos_embed"):
            value.normal_(generator=generator)
            if learned_positions:
                # tokens small enough for the first LayerNorm's epsilon to show
                value *= 0.02
        elif parameter.ndim >= 2:
            inputs = parameter[0].numel()
            value.normal_(generator=generator).div_(math.sqrt(inputs))
            if name.endswith(".kqv.weight"):
                # exp(-|x|^2) of unit-size k and q would fall below the 1e-8
                value[: 2 * parameter.shape[0] // 3] *= 0.25
            elif name.endswith(".attn.qkv.weight"):
                # near-uniform attention would hide the scale and the q, k order
                value[: 2 * parameter.shape[0] // 3] *= 1.5
            else:
                value *= _matrix_gain(name)
        else:
            value.uniform_(-0.3, 0.3, generator=generator)
            if "norm" in name and name.endswith(".weight"):
                value += 1.0
            elif name == "patch_embed.proj.bias":
                value *= 0.02
        parameter.copy_(value)
    return model
