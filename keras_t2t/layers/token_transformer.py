"""Token layer with full softmax attention (the paper's T2T-ViT_t)."""

import keras
from keras import ops

from keras_t2t.layers.attention import probabilities_of, scaled_dot_product_attention
from keras_t2t.layers.token_layer import TokenLayer


@keras.saving.register_keras_serializable(package="keras_t2t")
class TokenTransformer(TokenLayer):
    """Token layer with one head of softmax attention over all tokens.

    q, k and v have no bias. The softmax scale is `patch_dim ** -0.5`, of the
    layer's *input* width, as in the released models.

    Args:
        token_dim: int, width of the output tokens.
        dropout: float in [0, 1), dropout after the projection and after the MLP.
        soft_split: None if the input is the patches of a `SoftSplit`; or that layer's
            `(kernel_size, strides, padding)` if the input is the image or grid before
            it. Then the patches are never stored. Weights and outputs are the same.
        remat: bool, whether attention and MLP are recomputed for the gradient.

    Input shape: `(batch, grid_height, grid_width, patch_dim)`, or with `soft_split`
        `(batch, height, width, channels)`.
    Output shape: `(batch, grid_height, grid_width, token_dim)`.

    Raises:
        ValueError: if `token_dim` is not a positive integer, or `soft_split` is not
            valid.
    """

    # === Weights ===
    def build_attention(self, input_shape):
        self.scale = input_shape[-1] ** -0.5
        width = 3 * self.token_dim
        self.qkv = self._dense("qkv", width, input_shape, use_bias=False)

    # === Computation ===
    @property
    def qkv_layer(self):
        return self.qkv

    def attend(self, qkv, training=False):
        q, k, v = ops.split(qkv, 3, axis=-1)
        heads = [ops.expand_dims(part, axis=2) for part in (q, k, v)]
        attended = scaled_dot_product_attention(*heads, self.scale, None, training)
        return ops.squeeze(attended, axis=2), v

    def probabilities(self, x, queries=slice(None)):
        q, k, _ = ops.split(self.qkv_of(x), 3, axis=-1)
        return probabilities_of(q[:, None, queries], k[:, None], self.scale)

    def attention_macs(self, tokens, patch_dim):
        # q, k, v; then q k^T and the sum over v.
        return tokens * (3 * patch_dim + 2 * tokens) * self.token_dim
