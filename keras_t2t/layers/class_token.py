"""The class token, which the head classifies."""

import keras
from keras import ops

from keras_t2t.layers.host_initializers import kernel_initializer


@keras.saving.register_keras_serializable(package="keras_t2t")
class ClassToken(keras.Layer):
    """Prepends one learned token to the sequence (paper section 3.2, equation 5).

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        self.class_token = self.add_weight(
            name="class_token",
            shape=(1, 1, input_shape[-1]),
            initializer=kernel_initializer(),
        )

    def call(self, x):
        shape = (ops.shape(x)[0], 1, x.shape[-1])
        class_token = ops.broadcast_to(ops.cast(self.class_token, x.dtype), shape)
        return ops.concatenate([class_token, x], axis=1)

    def compute_output_shape(self, input_shape):
        batch, tokens, dim = input_shape
        return (batch, 1 + tokens, dim)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none."""
        return 0
