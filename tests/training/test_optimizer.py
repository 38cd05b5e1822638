"""AdamW is the published one, at a rate per weight; which weights decay, the average
of the weights, clipping and accumulation."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.training.ema import averaged_weights, averages, decay_for
from keras_t2t.training.optimizer import AdamW, adamw


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    "build",
    [
        keras_t2t.T2TViT,
        pytest.param(
            partial(keras_t2t.T2TViT, block_type="ghost"), marks=pytest.mark.once
        ),
        pytest.param(keras_t2t.ViT, marks=pytest.mark.once),
    ],
)
def test_only_kernels_decay(build):
    """With zero gradients a step shrinks what is decayed and nothing else: neither
    biases and norms, nor the class token and a learned position table."""
    model = build(32, 1, 2, 2, input_shape=(32, 32, 3), classes=4)
    for weight in model.trainable_weights:
        weight.assign(weight.numpy() + 1.0)
    optimizer = adamw(model, learning_rate=0.5, weight_decay=0.2)
    before = [weight.numpy() for weight in model.trainable_weights]
    zeros = [ops.zeros(weight.shape) for weight in model.trainable_weights]
    optimizer.apply(zeros, model.trainable_weights)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        decayed = weight.name in ("kernel", "scale")
        expected = old * (1 - 0.5 * 0.2) if decayed else old
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
    assert isinstance(optimizer, keras.optimizers.AdamW)


def small_model():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(3, name="head")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    return model


def apply(model, optimizer, gradients):
    weights = model.trainable_weights
    gradients = [ops.convert_to_tensor(gradient) for gradient in gradients]
    if keras.backend.backend() == "jax":  # as `fit` does there
        variables = weights + optimizer.variables
        new_weights, new_state = optimizer.stateless_apply(
            [variable.value for variable in optimizer.variables],
            gradients,
            [weight.value for weight in weights],
        )
        for variable, value in zip(variables, new_weights + new_state, strict=True):
            variable.assign(value)
    else:
        optimizer.apply(gradients, weights)
    return [weight.numpy() for weight in weights]


def random_gradients(steps):
    random = np.random.default_rng(0)
    return [
        [random.normal(size=shape).astype("float32") for shape in ((4, 3), (3,))]
        for _ in range(steps)
    ]


def test_the_average_equals_a_numpy_loop():
    model = small_model()
    optimizer = adamw(model, 0.1, 0.0, ema_decay=0.99996, total_steps=279)
    decay = decay_for(0.99996, 279)
    assert decay == 0.9
    expected = None
    for gradients in random_gradients(6):
        weights = apply(model, optimizer, gradients)
        if expected is None:
            expected = weights  # it begins at the weights after the first step
        else:
            expected = [
                decay * average + (1 - decay) * weight
                for average, weight in zip(expected, weights, strict=True)
            ]
    for average, value in zip(averages(optimizer), expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(average), value, rtol=1e-5)
    with averaged_weights(model_with(model, optimizer)):
        for weight, value in zip(model.trainable_weights, expected, strict=True):
            np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5)
    for weight, value in zip(model.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def model_with(model, optimizer):
    model.compile(optimizer, "mse")
    return model


def test_the_decay_follows_a_short_run():
    assert decay_for(0.99996, 775_620) == 0.99996  # ImageNet: 310 epochs of 2,502 steps
    assert decay_for(0.99996, 30_969) == 0.999
    assert decay_for(0.9, 30_969) == 0.9
    assert decay_for(0.99996, 31) == 0.5


def test_accumulation_equals_a_larger_batch():
    """Four steps of a quarter each move weights and average as one step does."""
    runs = []
    for accumulation in (1, 4):
        model = small_model()
        for weight in model.trainable_weights:
            weight.assign(ops.ones(weight.shape))
        averaged = {"ema_decay": 0.99996, "total_steps": 62 * accumulation}
        settings = {"clip_norm": 0.5, "accumulation": accumulation, **averaged}
        optimizer = adamw(model, 0.1, 0.05, **settings)
        for gradients in random_gradients(3):
            for part in range(accumulation):
                # The parts differ; their mean is the whole.
                shift = 0.0 if accumulation == 1 else (-3 + 2 * part)
                weights = apply(model, optimizer, [g + shift for g in gradients])
        averaged = [ops.convert_to_numpy(a) for a in averages(optimizer)]
        runs.append((weights, averaged))
    for one, four in zip(runs[0][0], runs[1][0], strict=True):
        np.testing.assert_allclose(four, one, rtol=1e-5)
    # The average moves between two updates too, so that it is up to one update ahead.
    for one, four in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_allclose(four, one, atol=0.1)


def test_an_overflow_in_float16_changes_nothing_but_the_scale():
    model = small_model()
    optimizer = adamw(model, 0.1, 0.0, ema_decay=0.9, scale_loss=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    scale = float(ops.convert_to_numpy(optimizer.scale_loss(ops.ones(()))))
    (gradients,) = random_gradients(1)
    gradients[0][0, 0] = np.inf
    after = apply(model, optimizer, gradients)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)
    halved = float(ops.convert_to_numpy(optimizer.scale_loss(ops.ones(()))))
    assert halved == scale / 2


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
    ours = AdamW([1.0, 0.25], learning_rate=0.1, weight_decay=0.3, epsilon=1e-8)
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
