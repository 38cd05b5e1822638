"""The Dense inside other layers is Keras's."""

import keras
import numpy as np
import pytest

from keras_t2t.layers.composite import dense


def pair(lora=False, **settings):
    """One of ours and Keras's own, with the same random weights, for 6 channels."""
    ours = dense(4, **settings)
    theirs = keras.layers.Dense.from_config(ours.get_config())
    for layer in (ours, theirs):
        layer.build((None, 6))
        if lora:
            layer.enable_lora(2)
        random = np.random.default_rng(0)
        layer.set_weights([random.normal(size=w.shape) for w in layer.weights])
    return ours, theirs


def outputs_and_step(layer, shape):
    """What the layer gives, and its weights after a step on its squares."""
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    outputs = model.predict(x, verbose=0)
    model.train_on_batch(x, np.zeros_like(outputs))
    return [outputs, *layer.get_weights()]


@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 6)])
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({}, 1e-6),
        ({"activation": "tanh"}, 1e-6),
        ({"use_bias": False}, 1e-6),
        ({"lora": True}, 1e-6),
        # The bias is added before the sum is rounded to 8 bits, not after.
        ({"dtype": "mixed_bfloat16"}, 2e-2),
    ],
)
def test_it_computes_the_same(shape, settings, tolerance):
    ours, theirs = (outputs_and_step(layer, shape) for layer in pair(**settings))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_quantized():
    ours, theirs = pair()
    x = np.random.default_rng(1).normal(size=(3, 6)).astype("float32")
    for layer in (ours, theirs):
        layer.quantize("int8")
        assert layer.quantization_mode == "int8"
    np.testing.assert_array_equal(
        *map(keras.ops.convert_to_numpy, (ours(x), theirs(x)))
    )
