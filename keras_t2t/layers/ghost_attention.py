"""The attention of the ghost design (GhostNet, Han et al., 2020)."""

import keras
from keras import ops

from keras_t2t.layers.attention import MultiHeadSelfAttention
from keras_t2t.layers.channel_scale import ChannelScale
from keras_t2t.layers.platform import rows


@keras.saving.register_keras_serializable(package="keras_t2t")
class GhostSelfAttention(MultiHeadSelfAttention):
    """Self-attention that computes half of q, k and v and derives the other half.

    q = [Dense(x), scale * Dense(x)] with a Dense to half the width, and so for k and
    v, each with its own Dense and per-channel scale; the rest is
    `MultiHeadSelfAttention` (paper section 3.2, T2T-ViT-16-Ghost).

    Arguments and shapes are those of `MultiHeadSelfAttention`.

    Raises:
        ValueError: also if the input width is odd.
    """

    # === Weights ===
    def build_qkv(self, input_shape):
        *positions, dim = input_shape
        if dim % 2:
            raise ValueError(
                f"`GhostSelfAttention` needs tokens of even width, got width {dim}"
            )
        self.halves, self.scales = [], []
        for name in ("query", "key", "value"):
            half = self._dense(name, dim // 2, input_shape, use_bias=self.qkv_bias)
            scale = ChannelScale(dtype=self.dtype_policy, name=f"{name}_scale")
            scale.build((*positions, dim // 2))
            self.halves.append(half)
            self.scales.append(scale)

    # === Computation ===
    def qkv_of(self, x):
        halves = [half(rows(x)) for half in self.halves]
        return [
            ops.reshape(
                ops.concatenate([half, scale(half)], axis=-1),
                (-1, x.shape[1], self.num_heads, self.head_dim),
            )
            for half, scale in zip(halves, self.scales, strict=True)
        ]

    def qkv_macs(self, dim):
        return 3 * dim * (dim // 2)
