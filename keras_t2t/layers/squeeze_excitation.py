"""Squeeze-and-excitation over tokens (Hu et al., 2018), the paper's SE design."""

from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import integer
from keras_t2t.layers.composite import CompositeLayer
from keras_t2t.layers.platform import at_least_float32


@keras.saving.register_keras_serializable(package="keras_t2t")
class SqueezeExcitation(CompositeLayer):
    """Scales every channel by a gate computed from the mean over the tokens.

    The gate is Dense to `dim // ratio`, ReLU, Dense to `dim`, sigmoid, both without
    bias (paper section 3.2, T2T-ViT-14-SE).

    Args:
        ratio: int, width of the tokens over the inner width of the gate.

    Input and output shape: `(batch, tokens, dim)`.

    Raises:
        ValueError: if `ratio` is not a positive integer or is greater than `dim`.
    """

    # === Config ===
    def __init__(self, ratio: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = integer("ratio", ratio)

    def get_config(self):
        return {**super().get_config(), "ratio": self.ratio}

    # === Weights ===
    def build(self, input_shape):
        batch, _, dim = input_shape
        if dim < self.ratio:
            raise ValueError(
                "`ratio` must be at most the width of the tokens, got "
                f"ratio={self.ratio} for width {dim}"
            )
        inner = dim // self.ratio
        self.squeeze = self._dense(
            "squeeze", inner, (batch, dim), activation="relu", use_bias=False
        )
        self.excite = self._dense(
            "excite", dim, (batch, inner), activation="sigmoid", use_bias=False
        )

    # === Computation ===
    def call(self, x):
        # In float16 the sum over the tokens could overflow.
        mean = ops.mean(ops.cast(x, at_least_float32(x.dtype)), axis=1)
        gate = self.excite(self.squeeze(ops.cast(mean, x.dtype)))
        return x * ops.expand_dims(gate, axis=1)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: the two Dense, once per image."""
        dim = input_shape[-1]
        return 2 * dim * (dim // self.ratio)
