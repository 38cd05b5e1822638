"""The MLP of the ghost design (GhostNet, Han et al., 2020)."""

import math
from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import integer
from keras_t2t.layers.channel_scale import ChannelScale
from keras_t2t.layers.mlp import MLP
from keras_t2t.layers.platform import gelu


@keras.saving.register_keras_serializable(package="keras_t2t")
class GhostMLP(MLP):
    """An MLP that computes one part of its hidden features and derives the rest.

    y_1 = GELU(Dense(x)) as wide as x, y_i = GELU(scale_i * y_1) for i = 2 ... ratio,
    then a Dense of their concatenation (paper section 3.2, T2T-ViT-16-Ghost).

    Args:
        ratio: int, hidden width over the input's.
        hidden_dropout: float in [0, 1), dropout on the hidden features.
        dropout: float in [0, 1), dropout after the second Dense.
        remat: bool, whether all but the input is recomputed for the gradient. Has no
            effect with `hidden_dropout`.

    Input and output shape: `(batch, ..., dim)`.

    Raises:
        ValueError: if `ratio` is not a positive integer.
    """

    # === Config ===
    def __init__(self, ratio: int = 3, **kwargs: Any) -> None:
        super().__init__(hidden_dim=1, **kwargs)
        self.hidden_dim = None  # the input's width is not known yet
        self.ratio = integer("ratio", ratio)

    def get_config(self):
        config = super().get_config()
        del config["hidden_dim"]
        return {**config, "ratio": self.ratio}

    # === Weights ===
    def build(self, input_shape):
        *positions, dim = input_shape
        self.expand = self._dense("expand", dim, input_shape, activation=gelu)
        self.scales = [
            ChannelScale(dtype=self.dtype_policy, name=f"scale_{i}")
            for i in range(2, self.ratio + 1)
        ]
        for scale in self.scales:
            scale.build(input_shape)
        self.contract = self._dense("contract", dim, (*positions, self.ratio * dim))

    # === Computation ===
    def hidden(self, x):
        first = self.expand(x)
        ghosts = [gelu(scale(first)) for scale in self.scales]
        return ops.concatenate([first, *ghosts], axis=-1)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: the two Dense."""
        _, *positions, dim = input_shape
        return math.prod(positions) * (1 + self.ratio) * dim * dim
