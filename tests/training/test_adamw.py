"""AdamW is the published one, at a rate per weight."""

import keras
import numpy as np
import pytest

from keras_t2t.training.adamw import AdamW
from keras_t2t.training.optimizer import adamw
from tests.training.test_optimizer import apply, random_gradients, small_model


def by_numpy(weight, gradients, rates, weight_decay, epsilon=1e-8):
    """Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2, with
    Keras's place of epsilon (Kingma and Ba, end of section 2)."""
    weight = weight.astype("float64")
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * np.square(gradient, dtype="float64")
        alpha = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weight = weight * (1 - rate * weight_decay) - alpha * m / (np.sqrt(v) + epsilon)
    return weight


@pytest.mark.parametrize("size", [1.0, 1e-7])  # beside the second, epsilon counts
def test_steps_are_those_of_the_paper(size):
    gradients = [[size * g for g in step] for step in random_gradients(4)]
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 4, 0.0)
    rates = [0.1, 0.075, 0.05, 0.025]
    model = small_model()
    kernel, bias = model.get_weights()
    optimizer = adamw(model, schedule, weight_decay=0.3)
    for step in gradients:
        weights = apply(model, optimizer, step)
    kernels, biases = zip(*gradients, strict=True)
    expected = by_numpy(kernel, kernels, rates, 0.3), by_numpy(bias, biases, rates, 0.0)
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-6)


def test_a_step_is_adamw_s_at_each_weight_s_own_rate():
    gradients = random_gradients(3)
    models = [small_model() for _ in range(3)]
    for model in models[1:]:
        model.set_weights(models[0].get_weights())
    ours = AdamW([1.0, 0.25], 0.1, weight_decay=0.3, epsilon=1e-8)
    ours.build(models[0].trainable_variables)
    expected = []
    for model, rate in zip(models[1:], (0.1, 0.025), strict=True):
        plain = keras.optimizers.AdamW(rate, weight_decay=0.3, epsilon=1e-8)
        plain.build(model.trainable_variables)
        expected.append((model, plain))
    for step in gradients:
        kernel, bias = apply(models[0], ours, step)
        (whole, _), (_, quarter) = (apply(m, plain, step) for m, plain in expected)
        # Keras has 1 - 0.999^t from float32, good to 6e-5 of it at first.
        np.testing.assert_allclose(kernel, whole, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(bias, quarter, rtol=1e-6, atol=2e-6)


def test_what_takes_it():
    """Keras's own but for rates by depth."""
    assert not isinstance(adamw(small_model(), 0.1, 0.1), AdamW)
    assert isinstance(adamw(small_model(), 0.1, 0.1, layer_decay=0.5), AdamW)
