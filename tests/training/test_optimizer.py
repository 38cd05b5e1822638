"""AdamW and LAMB are the published ones; the rate of each weight, which weights decay,
the average of the weights, clipping and accumulation."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.training import TrainingConfig
from keras_t2t.training.compiled_model import recipe_loss, recipe_optimizer
from keras_t2t.training.ema import averaged_weights, averages, decay_for
from keras_t2t.training.losses import BinaryCrossentropy
from keras_t2t.training.optimizer import AdamW, Lamb, adamw, lamb, rate_shares
from tests.training.conftest import assert_close


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    ("build", "design"),
    [
        (keras_t2t.T2TViT, {}),
        pytest.param(keras_t2t.T2TViT, {"block_type": "ghost"}, marks=pytest.mark.once),
        pytest.param(keras_t2t.ViT, {}, marks=pytest.mark.once),
    ],
)
def test_only_kernels_decay(build, design):
    """With zero gradients a step shrinks what is decayed and nothing else: neither
    biases and norms, nor the class token and a learned position table."""
    model = build(32, 1, 2, 2, input_shape=(32, 32, 3), classes=4, **design)
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


def small_model():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(inputs))


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
    assert decay == 0.9 and decay_for(0.5, 279) == 0.5
    expected = None
    for gradients in random_gradients(6):
        weights = apply(model, optimizer, gradients)
        pairs = zip(expected or weights, weights, strict=True)  # from the first step on
        expected = [decay * average + (1 - decay) * weight for average, weight in pairs]
    assert_close(map(ops.convert_to_numpy, averages(optimizer)), expected, rtol=1e-5)
    model.compile(optimizer, "mse")
    with averaged_weights(model):
        assert_close(model.get_weights(), expected, rtol=1e-5)
    assert_close(model.get_weights(), weights)


def test_accumulation_equals_a_larger_batch():
    """Four steps of a quarter each move weights and average as one step does."""
    runs = []
    for accumulation in (1, 4):
        model = small_model()
        model.set_weights([np.ones_like(w) for w in model.get_weights()])
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
    (one, average), (four, its_average) = runs
    assert_close(four, one, rtol=1e-5)
    # The average moves between two updates too, so that it is up to one update ahead.
    assert_close(its_average, average, atol=0.1)


def test_an_overflow_in_float16_changes_nothing_but_the_scale():
    model = small_model()
    optimizer = adamw(model, 0.1, 0.0, ema_decay=0.9, scale_loss=True)
    before = model.get_weights()
    scale = optimizer.dynamic_scale.numpy()
    (gradients,) = random_gradients(1)
    gradients[0][0, 0] = np.inf
    assert_close(apply(model, optimizer, gradients), before)
    assert optimizer.dynamic_scale.numpy() == scale / 2


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
    assert_close(weights, expected, rtol=1e-5, atol=1e-6)


def test_each_weight_decays_and_moves_at_its_own_rate():
    model = small_model()
    kernel, bias = model.get_weights()
    optimizer = AdamW([1.0, 0.25], learning_rate=0.1, weight_decay=0.3, epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    for step in random_gradients(3):
        weights = apply(model, optimizer, step)
    kernels, biases = zip(*random_gradients(3), strict=True)
    whole = by_numpy(kernel, kernels, [0.1] * 3, 0.3)
    quarter = by_numpy(bias, biases, [0.025] * 3, 0.3)
    # Keras has 1 - 0.999^t from float32, good to 6e-5 of it at first.
    assert_close(weights, (whole, quarter), rtol=1e-5, atol=5e-6)


def shares(model, **settings):
    """By the identity of each weight."""
    weights = map(id, model.trainable_weights)
    return dict(zip(weights, rate_shares(model, **settings), strict=True))


@pytest.mark.parametrize("heads", [["head"], ["head", "aux_head"]])
def test_rates_fall_from_the_heads_to_the_tokens(heads):
    settings = {"input_shape": (32, 32, 3), "token_labelling": len(heads) == 2}
    model = keras_t2t.T2TViT(32, 3, 2, 2, classes=4, **settings)
    share_of = shares(model, backbone_rate=0.5, layer_decay=0.1)
    found = {}
    for layer in model.layers:
        part = layer.name[:7] if layer.name.startswith("block") else layer.name
        for weight in layer.trainable_weights:
            found.setdefault(part, set()).add(round(share_of[id(weight)], 9))
    for head in heads:
        assert found.pop(head) == {1.0}
    rest = {"norm": 0.5, "block_2": 0.05, "block_1": 0.005, "block_0": 0.0005}
    for part, share in rest.items():
        assert found.pop(part) == {share}
    assert set().union(*found.values()) == {0.00005} and len(found) >= 3


def test_what_joins_two_stages_has_the_rate_of_the_later():
    settings = {"input_shape": (32, 32, 3), "growth": 8}
    model = keras_t2t.T2TViT(16, (2, 2), 2, 2, classes=4, **settings)
    share_of = shares(model, backbone_rate=1.0, layer_decay=0.5)
    for name in ("transition_0", "block_2_growth"):
        assert share_of[id(model.get_layer(name).trainable_weights[0])] == 0.25


def test_a_decay_per_block_needs_blocks():
    model = small_model()
    assert rate_shares(model, backbone_rate=0.5, layer_decay=1.0) == [1.0, 1.0]
    told = r"layer_decay=0\.5 needs layers block_0, block_1, .*, and \w+ has none"
    with pytest.raises(ValueError, match=told):
        rate_shares(model, backbone_rate=1.0, layer_decay=0.5)


def test_lamb_equals_a_numpy_loop():
    """You et al., algorithm 2, in float64: the kernel decays and has a trust ratio."""
    model = small_model()
    optimizer = lamb(model, 0.02, 0.3)
    weights = [w.astype("float64") for w in model.get_weights()]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for t, gradients in enumerate(random_gradients(4), start=1):
        for i, g in enumerate(gradients):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g.astype("float64") ** 2
            u = m[i] / (1 - 0.9**t) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
            if weights[i].ndim == 2:
                u = u + 0.3 * weights[i]
                u = u * np.linalg.norm(weights[i]) / np.linalg.norm(u)
            weights[i] = weights[i] - 0.02 * u
        found = apply(model, optimizer, gradients)
        assert_close(found, weights, rtol=1e-5, atol=1e-6)


def test_in_lamb_weights_of_zeros_take_adam_s_step():
    model = small_model()
    model.set_weights([np.zeros((4, 3)), np.zeros(3)])
    for weight in apply(model, lamb(model, 0.02, 0.3), [np.ones((4, 3)), np.ones(3)]):
        np.testing.assert_allclose(weight, -0.02, rtol=1e-4)


def test_the_settings_reach_loss_and_optimizer():
    settings = {"label_smoothing": 0.2, "weight_decay": 0.3, "steps_per_epoch": 10}
    config = TrainingConfig(recipe="modern", **settings)
    config = config.with_defaults("imagenet2012", 1000)
    loss = recipe_loss(config, None)
    assert isinstance(loss, BinaryCrossentropy) and loss.label_smoothing == 0.2
    optimizer = recipe_optimizer(small_model(), config)
    assert isinstance(optimizer, Lamb) and optimizer.weight_decay == 0.3
    assert optimizer.global_clipnorm == 1.0 and not optimizer.use_ema
