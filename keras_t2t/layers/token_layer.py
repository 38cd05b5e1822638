"""The base of both kinds of token layer (paper section 3.1, equation 1)."""

import functools
from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import check_flags, check_rates, integer
from keras_t2t.layers.mlp import MLP
from keras_t2t.layers.patch_projection import PatchReader
from keras_t2t.layers.platform import rows


class TokenLayer(PatchReader):
    """Base of the transformers that run between two soft splits.

    A token layer turns long patch vectors into short tokens on the same grid:
    attention over all tokens of the image, then an MLP of ratio 1. Since input and
    output widths differ, the residual around the attention is the value `v`, not the
    input. Arguments and shapes are those of `TokenTransformer`.

    Subclasses provide
    - `qkv_layer`, the Dense for q, k and v, which `build_attention` builds, with the
      other weights of `attend`, for `(batch, tokens, patch_dim)` input,
    - `attend`: q, k and v, `(batch, tokens, 3 * token_dim)` -> (attended, values), both
      `(batch, tokens, token_dim)`,
    - `probabilities`, as of `MultiHeadSelfAttention`, for the tokens of the grid, and
    - `attention_macs`, the multiply-accumulates of `attend` for one image.
    """

    # === Config ===
    def __init__(
        self,
        token_dim: int = 64,
        dropout: float = 0.0,
        soft_split: tuple[int, int, int] | None = None,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(soft_split, **kwargs)
        check_rates(dropout=dropout)
        check_flags(remat=remat)
        self.token_dim = integer("token_dim", token_dim)
        self.dropout_rate = dropout
        self.remat = remat
        self.dropout = self._dropout("dropout", dropout)

    def get_config(self):
        return {
            **super().get_config(),
            "token_dim": self.token_dim,
            "dropout": self.dropout_rate,
            "remat": self.remat,
        }

    # === Weights ===
    def build(self, input_shape):
        super().build(input_shape)
        batch, *_, patch_dim = self.patches_shape(input_shape)
        patches, tokens = (batch, None, patch_dim), (batch, None, self.token_dim)
        self.norm_1 = self._layer_norm("norm_1", patches)
        self.build_attention(patches)
        self.projection = self._dense("projection", self.token_dim, tokens)
        self.norm_2 = self._layer_norm("norm_2", tokens)
        self.mlp = MLP(
            self.token_dim,
            dropout=self.dropout_rate,
            remat=self.remat,
            dtype=self.dtype_policy,
            name="mlp",
        )
        self.mlp.build(tokens)

    def _layer_norm(self, name, input_shape):
        layer = keras.layers.LayerNormalization(
            axis=-1, epsilon=1e-5, dtype=self.dtype_policy, name=name
        )
        layer.build(input_shape)
        return layer

    # === Computation ===
    def qkv_of(self, x):
        """The layer's input -> `(batch, tokens, 3 * token_dim)`."""
        _, height, width, _ = self.compute_output_shape(x.shape)
        qkv = self.project(x, self.qkv_layer, self.norm_1)
        return ops.reshape(qkv, (-1, height * width, 3 * self.token_dim))

    def call(self, x, training=False):
        _, height, width, _ = self.compute_output_shape(x.shape)
        qkv = self.qkv_of(x)
        attend = functools.partial(self.attend, training=training)
        if training and self.remat:
            attend = keras.remat(attend)
        attended, values = attend(qkv)
        x = self.dropout(self.projection(rows(attended)), training=training)
        x = rows(values) + x
        x = x + self.mlp(self.norm_2(x), training=training)
        return ops.reshape(x, (-1, height, width, self.token_dim))

    def compute_output_shape(self, input_shape):
        return (*self.patches_shape(input_shape)[:-1], self.token_dim)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: attention, projection and MLP."""
        _, height, width, patch_dim = self.patches_shape(input_shape)
        tokens = height * width
        rest = 3 * tokens * self.token_dim**2
        return self.attention_macs(tokens, patch_dim) + rest
