"""Token layer with linear-time attention (Performer, Choromanski et al., 2021)."""

import math
from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import integer
from keras_t2t.layers.host_initializers import HostOrthogonal
from keras_t2t.layers.platform import at_least_float32, rows
from keras_t2t.layers.token_layer import TokenLayer

EPSILON = 1e-8
# Factor of the features, which cancels. Without it, converters to float16 and
# onnxscript round epsilon to zero, which decides the result where features are small.
SCALE = 100.0


@keras.saving.register_keras_serializable(package="keras_t2t")
class TokenPerformer(TokenLayer):
    """Token layer whose softmax attention is approximated by random features.

    With phi(x) = exp(w x - |x|^2 / 2) / sqrt(m) the attention is
    phi(q) (phi(k)^T v) / (phi(q) sum(phi(k)) + 1e-8), linear in the number of
    tokens. The m rows of w are orthogonal, of length sqrt(m), and not trained.
    Features, sums and the division run in float32 under every dtype policy: in
    float16 the exponential overflows and 1e-8 is zero.

    Args:
        token_dim: int, width of the output tokens.
        num_features: int, m, the number of random features.
        dropout: float in [0, 1), dropout after the projection and after the MLP.
        soft_split: None if the input is the patches of a `SoftSplit`; or that layer's
            `(kernel_size, strides, padding)` if the input is the image or grid before
            it. Then the patches are never stored. Weights and outputs are the same.
        remat: bool, whether attention and MLP are recomputed for the gradient.

    Input shape: `(batch, grid_height, grid_width, patch_dim)`, or with `soft_split`
        `(batch, height, width, channels)`.
    Output shape: `(batch, grid_height, grid_width, token_dim)`.

    Raises:
        ValueError: if `token_dim` or `num_features` is not a positive integer, or
            `soft_split` is not valid.
    """

    # === Config ===
    def __init__(
        self, token_dim: int = 64, num_features: int = 32, **kwargs: Any
    ) -> None:
        super().__init__(token_dim=token_dim, **kwargs)
        self.num_features = integer("num_features", num_features)

    def get_config(self):
        return {**super().get_config(), "num_features": self.num_features}

    # === Weights ===
    def build_attention(self, input_shape):
        self.kqv = self._dense("kqv", 3 * self.token_dim, input_shape)
        self.random_projection = self.add_weight(
            name="random_projection",
            shape=(self.num_features, self.token_dim),
            initializer=HostOrthogonal(gain=self.num_features**0.5),
            # Used in float32; half precision has no orthogonalisation.
            dtype=at_least_float32(self.variable_dtype),
            trainable=False,
            autocast=False,
        )

    # === Computation ===
    def random_features(self, x):
        """SCALE phi: (batch, tokens, token_dim) -> (batch, tokens, num_features)."""
        w = ops.cast(self.random_projection, x.dtype)
        _, tokens, _ = x.shape
        x = rows(x)
        half_square = ops.sum(ops.square(x), axis=-1, keepdims=True) / 2
        projected = ops.matmul(x, ops.transpose(w))
        phi = ops.exp(projected - half_square) * (SCALE / math.sqrt(self.num_features))
        return ops.reshape(phi, (-1, tokens, self.num_features))

    @property
    def qkv_layer(self):
        return self.kqv

    def features_of(self, k, q):
        """SCALE phi of both, in float32 or better."""
        island = at_least_float32(self.compute_dtype)
        return [self.random_features(ops.cast(part, island)) for part in (k, q)]

    def attend(self, qkv, training=False):
        k, q, v = ops.split(qkv, 3, axis=-1)
        phi_k, phi_q = self.features_of(k, q)
        summary = ops.matmul(ops.transpose(phi_k, (0, 2, 1)), ops.cast(v, phi_k.dtype))
        mass = ops.sum(phi_k, axis=1, keepdims=True)
        normaliser = ops.sum(phi_q * mass, axis=-1, keepdims=True)
        normaliser = normaliser + EPSILON * SCALE**2
        attended = ops.matmul(phi_q, summary) / normaliser
        return ops.cast(attended, self.compute_dtype), v

    def probabilities(self, x, queries=slice(None)):
        """Those that the random features imply; `attend` never computes them."""
        k, q, _ = ops.split(self.qkv_of(x), 3, axis=-1)
        phi_k, phi_q = self.features_of(k, q)
        weights = ops.matmul(phi_q[:, queries], ops.transpose(phi_k, (0, 2, 1)))
        normaliser = ops.sum(weights, axis=-1, keepdims=True) + EPSILON * SCALE**2
        return (weights / normaliser)[:, None]

    def attention_macs(self, tokens, patch_dim):
        dim, features = self.token_dim, self.num_features
        kqv = 3 * patch_dim * dim
        # w k, w q, phi(k)^T v, phi(q) of that, and phi(q) sum(phi(k)).
        return tokens * (kqv + 4 * features * dim + features)
