"""The Dense after a soft split, without ever storing the long patch vectors.

A Dense layer on patches is a strided convolution, even with a LayerNorm between them:
for a patch p the result is `W^T (gamma (p - mean) / sigma + beta) + b`. If the kernel
`gamma W` has its mean over the patch axis removed, it ignores the mean of p; the result
is then a convolution, divided by sigma, plus `W^T beta + b`.
"""

from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import integer
from keras_t2t.layers.composite import CompositeLayer, dense
from keras_t2t.layers.platform import (
    at_least_float32,
    convolution_is_exact,
    exact_convolution,
    jax_platform,
    rows,
)
from keras_t2t.layers.soft_split import SoftSplit


class PatchReader(CompositeLayer):
    """Base of the layers that apply a Dense to the patches of a soft split; for
    `soft_split` see `PatchProjection`."""

    def __init__(
        self, soft_split: tuple[int, int, int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.soft_split: SoftSplit | None = None
        if soft_split is not None:
            if not isinstance(soft_split, (tuple, list)) or len(soft_split) != 3:
                raise ValueError(
                    "`soft_split` must be None or (kernel_size, strides, padding), "
                    f"got {soft_split!r}"
                )
            self.soft_split = SoftSplit(
                *soft_split, dtype=self.dtype_policy, name="soft_split"
            )

    def get_config(self):
        sizes = self.soft_split and self.soft_split.sizes
        return {**super().get_config(), "soft_split": sizes}

    def build(self, input_shape):
        if self.soft_split is not None:
            self.soft_split.build(input_shape)

    def patches_shape(self, input_shape):
        if self.soft_split is None:
            return input_shape
        return self.soft_split.compute_output_shape(input_shape)

    def project(self, x, projection, norm=None):
        """`projection(norm(patches))` of the layer's input `x`, for a Dense without
        activation: `(batch, grid_height, grid_width, units)`."""
        if self.soft_split is None:
            _, height, width, _ = x.shape
            x = projection(rows(x if norm is None else norm(x)))
            return ops.reshape(x, (-1, height, width, projection.units))
        if projection.quantization_mode is not None or not convolution_is_exact(x):
            patches = self.soft_split(x)
            return projection(patches if norm is None else norm(patches))
        images = self.soft_split.pad(x)
        if norm is None:
            x = convolve(images, projection.kernel, self.soft_split)
            return x if projection.bias is None else x + projection.bias
        # In half precision, kernel and variance are still computed in float32.
        island = at_least_float32(images.dtype)
        gamma, beta = ops.cast(norm.gamma, island), ops.cast(norm.beta, island)
        kernel = ops.cast(projection.kernel, island)
        shift = ops.matmul(beta, kernel)
        if projection.bias is not None:
            shift = shift + ops.cast(projection.bias, island)
        kernel = gamma[:, None] * kernel
        kernel = kernel - ops.mean(kernel, axis=0, keepdims=True)
        kernel = ops.cast(kernel, images.dtype)
        x = ops.cast(convolve(images, kernel, self.soft_split), island)
        mean, variance = patch_moments(ops.cast(images, island), self.soft_split)
        if island != keras.backend.standardize_dtype(images.dtype):
            # A rounded kernel does not ignore the mean, which flat patches show. XLA
            # may leave out the rounding before a sum, but not before a product.
            ones = ops.ones((1, kernel.shape[0]), kernel.dtype)
            x = x - mean * ops.cast(ops.matmul(ones, kernel), island)
        x = x * ops.rsqrt(variance + norm.epsilon) + shift
        return ops.cast(x, images.dtype)


@keras.saving.register_keras_serializable(package="keras_t2t")
class PatchProjection(PatchReader):
    """The Dense from the last soft split's patches to the backbone's tokens.

    Args:
        units: int, width of the tokens.
        soft_split: None if the input is the patches of a `SoftSplit`; or that layer's
            `(kernel_size, strides, padding)` if the input is the image or grid before
            it. Then the patches are never stored. Weights and outputs are the same.

    Input shape: `(batch, grid_height, grid_width, patch_dim)`, or with `soft_split`
        `(batch, height, width, channels)`.
    Output shape: `(batch, grid_height, grid_width, units)`.
    """

    def __init__(
        self, units: int, soft_split: tuple[int, int, int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(soft_split, **kwargs)
        self.units = integer("units", units)
        self.dense = dense(self.units, dtype=self.dtype_policy, name="dense")

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def build(self, input_shape):
        super().build(input_shape)
        self.dense.build(self.patches_shape(input_shape))

    def call(self, x):
        return self.project(x, self.dense)

    def compute_output_shape(self, input_shape):
        return (*self.patches_shape(input_shape)[:-1], self.units)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: the Dense."""
        _, height, width, patch_dim = self.patches_shape(input_shape)
        return height * width * patch_dim * self.units


# === Without storing the patches ===
def convolve(images, kernel, soft_split):
    """Applies the kernel `(patch_dim, units)` to every patch of padded images."""
    if images.shape[-1] < 8 and jax_platform() == "cpu":
        # Two to three times faster than XLA's convolution of so few channels.
        patches = soft_split.sliced_patches(images)
        _, height, width, _ = patches.shape
        x = ops.matmul(rows(patches), kernel)
        return ops.reshape(x, (-1, height, width, x.shape[-1]))
    size = soft_split.kernel_size
    kernel = ops.reshape(kernel, (size, size, images.shape[-1], -1))
    with exact_convolution():
        return ops.conv(
            images,
            kernel,
            strides=soft_split.strides,
            padding="valid",
            data_format="channels_last",
        )


def patch_moments(images, soft_split):
    """Mean and variance of every patch of padded images, including the padding.

    Computed axis by axis (channels, rows, columns): the variance of a union is the
    mean of the parts' variances plus the variance of their means. All terms are
    squares of differences; `E[x^2] - E[x]^2` would cancel in the flat patches of
    photographs. Both are of shape `(batch, grid_height, grid_width, 1)`.
    """
    mean, variance = moments(images)
    for axis in (1, 2):
        means = ops.concatenate(soft_split.windows(mean, axis), axis=-1)
        variances = ops.concatenate(soft_split.windows(variance, axis), axis=-1)
        mean, between = moments(means)
        variance = between + ops.mean(variances, axis=-1, keepdims=True)
    return mean, variance


def moments(x):
    """Mean and variance over the last axis, kept; `ops.var` is slow in torch."""
    mean = ops.mean(x, axis=-1, keepdims=True)
    return mean, ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
