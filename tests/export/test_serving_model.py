"""Whatever a model takes and gives, its served form takes pixels and gives both."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

import keras_t2t
from keras_t2t.export.rollout import attention_blocks
from keras_t2t.export.runtimes import run_of
from keras_t2t.export.serving_model import in_precision, serving_model
from tests.export import tiny


@pytest.mark.nightly_elsewhere
def test_probabilities_logits_and_preprocessing_in_any_form():
    """One set of weights in four models, whose served forms are all the same."""
    pixels = tiny.images()
    logits = tiny.build(classifier_activation=None)
    expected = tiny.logits_of(logits, pixels)
    probabilities = softmax(expected, axis=-1)
    for activation in ("softmax", None):
        for inside in (True, False):
            settings = {"include_preprocessing": inside}
            model = tiny.build(classifier_activation=activation, **settings)
            model.set_weights(logits.get_weights())
            if not inside:  # as models from files are
                model = keras.Model([model.input], [model.output])
            found = run_of(serving_model(model))(pixels)
            np.testing.assert_allclose(found["logits"], expected, atol=1e-5)
            np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)


@pytest.mark.nightly_elsewhere
def test_token_labelling_ends_in_an_activation_of_a_sum():
    pixels = tiny.images()
    for activation in ("softmax", None):
        model = tiny.build(classifier_activation=activation, token_labelling=True)
        found = run_of(serving_model(model))(pixels)
        own = tiny.logits_of(model, pixels)
        name = "logits" if activation is None else "probabilities"
        np.testing.assert_allclose(found[name], own, atol=1e-5)
        expected = softmax(found["logits"], axis=-1)
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


def test_one_logit_tells_two_classes_apart():
    model = tiny.own(keras.layers.Identity(), classes=1, activation=None)
    found = run_of(serving_model(model))(tiny.images())
    assert np.ptp(found["logits"]) > 1e-3
    expected = 1 / (1 + np.exp(-found["logits"]))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)


@pytest.mark.nightly_elsewhere
def test_features_without_a_head_and_without_preprocessing():
    model = tiny.build(include_top=False, pooling="avg")
    scaled = keras_t2t.preprocess_input(tiny.images())
    found = run_of(serving_model(model, include_preprocessing=False))(scaled)
    expected = keras.ops.convert_to_numpy(model(scaled))
    np.testing.assert_allclose(found["features"], expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"classifier_activation": None}, {"include_top": False}], ids=str
)
def test_half_precision_is_served_in_float32(settings):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = tiny.build(**settings)
        served = serving_model(half)
    finally:
        keras.config.set_dtype_policy("float32")
    for layer in served._flatten_layers():
        if not isinstance(layer, (keras.Model, keras.layers.InputLayer)):
            assert layer.compute_dtype == "float32", layer.name
    assert {tensor.dtype for tensor in served.outputs} == {"float32"}
    assert half.get_layer("block_0_mlp").compute_dtype == "bfloat16"  # not changed


@pytest.mark.nightly_elsewhere
def test_float16_keeps_what_must_not_overflow():
    served = serving_model(tiny.build(classifier_activation=None))
    half = in_precision(served, "float16")
    pixels = tiny.images()
    expected, found = run_of(served)(pixels), run_of(half)(pixels)
    difference = np.abs(found["logits"] - expected["logits"]).max()
    assert 1e-5 < difference < 0.05
    size = sum(variable.dtype == "float16" for variable in half.variables)
    assert size > 0.8 * len(half.variables)


def test_quantizing_warns_of_nothing(recwarn):
    """Keras warns of each layer that has nothing to quantize."""
    layers = in_precision(serving_model(tiny.build()), "int8")._flatten_layers()
    assert any(layer.dtype_policy.name.startswith("int8") for layer in layers)
    assert not [w for w in recwarn if "quantize" in str(w.message)]


def test_pixels_are_standardised_once():
    """As the layers show, which test_pixel_input.py tests, unless told otherwise."""
    pixels = tiny.images()
    standardised = keras_t2t.preprocess_input(pixels)
    undecided = keras.layers.Rescaling(2.0, -1.0)
    for begin, settings, x in (
        (keras.layers.Rescaling(1 / 127.5, -1), (True, None), pixels),
        (keras.layers.Identity(), (True, None), standardised),
        (undecided, (True, True), pixels),
        (undecided, (True, False), standardised),
        # Without preprocessing the file takes whatever the model takes.
        (keras.layers.Rescaling(1 / 255), (False, False), pixels),
    ):
        model = tiny.own(begin)
        expected = keras.ops.convert_to_numpy(model(x))
        found = run_of(serving_model(model, *settings))(pixels)
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    with pytest.raises(ValueError, match="`takes_pixels` must be True or False"):
        serving_model(tiny.own(undecided))


def test_rollout_has_the_grid_of_the_tokens():
    """Neither the image's size nor the number of tokens shows it."""
    image = keras.Input((64, 64, 3))
    resized = keras.layers.Resizing(64, 36, data_format="channels_last")(image)
    settings = {"token_type": "convolution", "classes": 2}
    for begin in ({"input_shape": (64, 36, 3)}, {"input_tensor": resized}):
        model = keras_t2t.T2TViT(32, 1, 2, 2, **settings, **begin)
        blocks, grid = attention_blocks(serving_model(model))
        assert len(blocks) == 1 and grid == [4, 3]


def test_other_models_are_refused():
    vector, other = keras.Input((4,)), keras.Input((4,))
    quantized = tiny.own(keras.layers.Identity())
    quantized.layers[-1].quantize("int8")
    for model, message in (
        (None, "`model` must be a built keras.Model"),
        (keras.Sequential([keras.layers.Dense(2)]), "must be a built"),
        (keras.Sequential([vector, keras.layers.ReLU()]), "must take"),
        (keras.Model([vector, other], vector + other), "one input and one output"),
        (tiny.build(input_shape=(64, 64, 1)), "needs 3 channels"),
        (quantized, "is quantized: export the float model with precision='int8'"),
    ):
        with pytest.raises(ValueError, match=message):
            serving_model(model)
    with pytest.raises(ValueError, match="`include_preprocessing` must be True"):
        serving_model(tiny.build(include_preprocessing=True), False)
