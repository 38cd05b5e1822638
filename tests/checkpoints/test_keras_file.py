"""Files that Keras wrote load at other sizes and class counts by the same rules."""

import logging

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.checkpoints.loading import CheckpointFile
from keras_t2t.checkpoints.position_table import resize_table
from keras_t2t.checkpoints.standardization import standardization_of
from tests.checkpoints import helpers
from tests.examples.small_run import SIZE, outputs, random_model

both_formats = pytest.mark.parametrize("suffix", ["weights.h5", "keras"])


def small(size=(64, 64), **kwargs):
    """Random weights everywhere, also in the position table."""
    model, rng = helpers.build(None, size, **kwargs), np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def save(model, folder, suffix):
    return helpers.save(model, folder / f"saved.{suffix}")


@pytest.mark.every_backend
@both_formats
def test_equal_models_are_restored_as_keras_itself_does(suffix, tmp_path):
    model = small()
    model.compile("adamw", "sparse_categorical_crossentropy")  # its state is no weight
    model.optimizer.build(model.trainable_variables)
    path = save(model, tmp_path, suffix)
    helpers.assert_equal_weights(model, helpers.build(weights=path))
    again = helpers.build(name="again")
    again.load_weights(path)
    helpers.assert_equal_weights(model, again)


@both_formats
@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.1, "drop_path": 0.2, "attention_dropout": 0.1, "name": "other"},
        {"include_preprocessing": True, "classifier_activation": "softmax"},
    ],
)
def test_what_has_no_weights_may_differ(settings, suffix, tmp_path):
    model = small()
    for one, other in ({}, settings), (settings, {}):
        path = save(small(**one), tmp_path, suffix)
        helpers.assert_equal_weights(model, helpers.build(weights=path, **other))


@both_formats
def test_other_sizes_and_class_counts(suffix, tmp_path):
    model = small((64, 256))  # whose grid is not the square of as many tokens
    path = save(model, tmp_path, suffix)
    other = helpers.build(None, (96, 160), classes=3, weights=path)
    helpers.assert_equal_weights(model, other, but=["head", "position_embedding"])
    table, found = (
        each.get_layer("position_embedding").table.numpy() for each in (model, other)
    )
    np.testing.assert_array_equal(found, resize_table(table, (4, 16), (6, 10)))


@both_formats
def test_with_and_without_a_top(suffix, tmp_path, caplog):
    model = small()
    path = save(model, tmp_path, suffix)
    backbone = helpers.build(include_top=False, weights=path)
    helpers.assert_equal_weights(backbone, model)
    path = save(backbone, tmp_path, suffix)
    with caplog.at_level(logging.INFO, "keras_t2t"):
        helpers.assert_equal_weights(backbone, helpers.build(weights=path))
    assert "head for no classes and the model for 10" in caplog.text


def test_a_keras_file_tells_its_size(tmp_path):
    """It was taken to be for 16 px per token: 250 px became 256."""
    model = keras_t2t.T2TViT7(input_shape=(36, 50, 3), classes=2)
    model.save(tmp_path / "x.keras")
    found = CheckpointFile(tmp_path / "x.keras").description()
    assert found.input_shape == (36, 50, 3)
    assert (found.grid, found._replace(size=None).input_shape) == ((3, 3), (48, 48, 3))
    # Layers before it may resize the images.
    assert found._replace(size=(100, 100)).input_shape == (48, 48, 3)


@both_formats
def test_a_model_with_layers_of_ones_own_is_loaded_by_keras(suffix, tmp_path):
    base = small(include_top=False, pooling="token")
    own = keras.layers.Dense(4, name="classifier")(base.output)
    model = keras.Model(base.input, own)
    path = save(model, tmp_path, suffix)
    found = helpers.assert_refused(model, path, "left over: classifier/0")
    assert found.endswith("keras_t2t.load(path), or model.load_weights(path))")
    model.load_weights(path)


@both_formats
def test_keras_itself_refuses_what_no_shape_tells(suffix, tmp_path):
    """Another number of heads, or another grid of as many tokens."""
    path = save(small((64, 256)), tmp_path, suffix)
    for other, match in (
        (helpers.build(size=(64, 256), num_heads=4), "has 2 heads, but the model's"),
        (helpers.build(size=(128, 128)), r"could not be loaded|a grid of"),
    ):
        with pytest.raises(ValueError, match=match):
            other.load_weights(path)


@both_formats
def test_what_does_not_fit_is_told_by_its_name_in_the_file(suffix, tmp_path):
    broken = small()
    head = broken.get_layer("head").kernel
    head.assign(np.full(head.shape, np.nan))
    other = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    for model, match in (
        (broken, r"not finite: head/0 \(head\.weight\)"),
        (other, "missing: cls_token"),
    ):
        helpers.assert_refused(small(), save(model, tmp_path, suffix), match)


@both_formats
def test_a_text_that_has_no_size(suffix, tmp_path):
    """HDF5's library reads it for ever."""
    model = small()
    path = save(model, tmp_path, "weights.h5")
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    content = content[: heap + 16] + bytes(16) + content[heap + 32 :]
    path.write_bytes(content)
    if suffix == "keras":
        path = save(model, tmp_path, suffix)
        helpers.rewrite(path, {"model.weights.h5": content})
    helpers.assert_refused(model, path, "is damaged.*one of its strings has no size")


def test_a_model_of_somebody_s_own(tmp_path):
    """Its layers may have the names of ours, and be others."""
    image = keras.Input((8, 8, 1))
    x = keras.Sequential([keras.layers.Rescaling(1 / 255)], name="preprocessing")(image)
    x = keras.layers.Identity(name="flatten_grid")(keras.layers.Flatten()(x))
    x = keras.layers.Reshape((64, 1))(x)
    for heads in (1, 2):
        name = f"block_{heads}_attention"
        x = keras.layers.MultiHeadAttention(heads, 4, name=name)(x, x)
    model = keras.Model(image, keras.layers.Attention(name="last_attention")([x, x]))
    model.save(tmp_path / "x.keras")
    helpers.assert_equal_weights(model, keras_t2t.load(tmp_path / "x.keras"))


def test_a_standardization_that_was_learnt_from_data():
    """Its configuration has no numbers."""
    layer = keras.layers.Normalization(name="preprocessing")
    layer.adapt(np.arange(24.0).reshape(1, 2, 4, 3))
    model = keras.Sequential([keras.Input((2, 4, 3)), layer])
    assert standardization_of(model) is None


class Wrapped(keras.Layer):
    """Builds its model itself, so that paths begin with its own name."""

    def build(self, input_shape):
        self.model = random_model(seed=2)


@pytest.mark.every_backend
@both_formats
def test_a_model_that_another_layer_builds(suffix, tmp_path):
    model = random_model()
    path = save(model, tmp_path, suffix)
    layer = Wrapped(name="around")
    layer.build((None, SIZE, SIZE, 3))
    assert layer.model.weights[0].path.startswith("around/")
    keras_t2t.load_checkpoint(layer.model, path)
    np.testing.assert_array_equal(outputs(layer.model), outputs(model))
    fresh = random_model(seed=3)
    keras_t2t.load_checkpoint(fresh, save(layer.model, tmp_path, suffix))
    np.testing.assert_array_equal(outputs(fresh), outputs(model))
