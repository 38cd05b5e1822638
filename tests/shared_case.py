"""The one test-case that every layer and every model passes.

A `Case` builds a functional model, around one layer or as a whole; each function of
`CHECKS` proves one thing of it. Test files parametrize over both.
"""

import functools
import json
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops


class Case(NamedTuple):
    name: str
    build: Callable[[], keras.Model]  # fresh weights at every call
    output_shape: tuple  # without the batch
    output_dtype: str | None = None  # None: the policy's compute dtype
    # float32 sums in another order: XLA fuses what eager does step by step
    tolerance: float = 1e-5

    def __str__(self):
        return self.name


def layer_case(layer, input_shape, output_shape, **kwargs):
    """A case around `layer()`, on `(batch, *input_shape)`."""

    def build():
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, layer()(inputs))

    return Case(layer().name, build, output_shape, **kwargs)


def random_input(model, batch=2, scale=1.0):
    shape = (batch, *model.input_shape[1:])
    values = np.random.default_rng(0).normal(size=shape) * scale
    return values.astype("float32")


def randomized(model):
    """Weights far from their start, so that a lost or swapped one shows."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" in weight.name:
            continue
        value = weight.numpy().astype("float32")
        if len(weight.shape) == 1:
            value = value + random.uniform(-0.3, 0.3, weight.shape)
        elif weight.name == "kernel":
            fan_in = weight.shape[0]
            value = random.normal(size=weight.shape) / fan_in**0.5
            if "/kqv/" in weight.path:
                # Of unit-size k and q a Performer's features vanish beside its 1e-8.
                value *= 0.25
        weight.assign(value)
    return model


@functools.lru_cache(maxsize=1)
def built(case):
    """A model of the case, images, and what it makes of them step by step; made once
    for all checks that leave it as it is."""
    model = randomized(case.build())
    x = random_input(model)
    return model, x, outputs(model, x)


def outputs(model, x, **kwargs):
    return ops.convert_to_numpy(model(ops.convert_to_tensor(x), **kwargs))


def check_shapes_and_dtype(case):
    """What the symbolic model promises is what an eager call gives."""
    model, x, _ = built(case)
    assert model.output_shape == (None, *case.output_shape)
    y = model(ops.convert_to_tensor(x))
    assert tuple(y.shape) == (2, *case.output_shape)
    expected = case.output_dtype or keras.config.dtype_policy().compute_dtype
    assert keras.backend.standardize_dtype(y.dtype) == expected


def check_compiled_equals_eager(case):
    """Also for a batch of one."""
    model, x, eager = built(case)
    compile_for_speed(model)
    for batch in (2, 1):
        compiled = model.predict(x[:batch], verbose=0)
        np.testing.assert_allclose(compiled, eager[:batch], atol=case.tolerance)


def compile_for_speed(model):
    """torch's compiler is no part of what we promise; XLA is."""
    model.compile(jit_compile=keras.backend.backend() != "torch")


def check_config_round_trip(case):
    """The configuration survives JSON and makes a model with the same outputs."""
    model, x, expected = built(case)
    config = json.dumps(model.get_config())
    copy = type(model).from_config(json.loads(config))
    assert json.dumps(copy.get_config()) == config
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(copy, x), expected)


def check_save_and_load(case):
    model, x, expected = built(case)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras")
        np.testing.assert_array_equal(outputs(loaded, x), expected)
        model.save_weights(f"{folder}/model.weights.h5")
        fresh = case.build()
        fresh.load_weights(f"{folder}/model.weights.h5")
        np.testing.assert_array_equal(outputs(fresh, x), expected)


def check_fit_changes_exactly_the_trainable_weights(case):
    model = randomized(case.build())
    model.compile(optimizer=keras.optimizers.SGD(10.0), loss="mse")
    before = [weight.numpy() for weight in model.weights]
    # With 16 images, stochastic depth leaves some of them in every branch.
    x = random_input(model, batch=16)
    target = np.random.default_rng(2).normal(size=(16, *case.output_shape))
    model.fit(x, target.astype("float32"), batch_size=16, epochs=1, verbose=0)
    trainable = {id(weight) for weight in model.trainable_weights}
    for weight, old in zip(model.weights, before, strict=True):
        changed = not np.array_equal(weight.numpy(), old)
        assert changed == (id(weight) in trainable), weight.path


def check_half_precision(case):
    """Finite on large activations in both half precisions, in the policy's dtype."""
    before = keras.config.dtype_policy()
    try:
        for policy in ("mixed_bfloat16", "mixed_float16"):
            keras.config.set_dtype_policy(policy)
            model = case.build()
            compile_for_speed(model)
            y = model.predict(random_input(model, scale=100.0), verbose=0)
            expected = case.output_dtype or policy.removeprefix("mixed_")
            assert keras.backend.standardize_dtype(y.dtype) == expected
            assert np.isfinite(y.astype("float32")).all(), policy
    finally:
        keras.config.set_dtype_policy(before)


def check_channels_first_changes_nothing(case):
    model, x, expected = built(case)
    keras.config.set_image_data_format("channels_first")
    try:
        other = case.build()
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(outputs(other, x), expected, atol=case.tolerance)
    finally:
        keras.config.set_image_data_format("channels_last")


CHECKS = (
    check_shapes_and_dtype,
    check_compiled_equals_eager,
    check_config_round_trip,
    check_save_and_load,
    check_fit_changes_exactly_the_trainable_weights,
    check_half_precision,
    check_channels_first_changes_nothing,
)


def every_check(cases):
    """A test that is run with every pair of case and check, case by case."""

    @pytest.mark.parametrize(
        "check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_")
    )
    @pytest.mark.parametrize("case", cases, ids=str)
    def test(case, check):
        check(case)

    return test
