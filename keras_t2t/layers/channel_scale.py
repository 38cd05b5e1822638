"""The cheap operation of the ghost design."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_t2t")
class ChannelScale(keras.Layer):
    """Multiplies each channel by a learned scale.

    This is GhostNet's cheap operation (Han et al., 2020), a depthwise convolution,
    with the kernel size 1 of the authors' T2T-ViT-16-Ghost, without bias, initialised
    uniformly in (-1, 1).

    Input and output shape: `(batch, ..., dim)`.
    """

    def build(self, input_shape):
        self.scale = self.add_weight(
            name="scale",
            shape=(input_shape[-1],),
            initializer=keras.initializers.RandomUniform(-1.0, 1.0),
        )

    def call(self, x):
        return x * ops.cast(self.scale, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none, as for every elementwise product."""
        return 0
