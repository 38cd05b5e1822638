"""Files that Keras wrote load at other sizes and class counts by the same rules."""

import logging
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.official import official_entries
from keras_t2t.checkpoints.position_table import resize_table
from keras_t2t.layers.attention import MultiHeadSelfAttention
from tests.checkpoints import helpers

SUFFIXES = ["weights.h5", "keras"]


def small(size=(64, 64), **kwargs):
    """`helpers.build`, with random weights everywhere unless it loads some."""
    model = helpers.build(None, size, **kwargs)
    if kwargs.get("weights") is None:
        rng = np.random.default_rng(0)
        for weight in model.weights:
            weight.assign(rng.normal(size=weight.shape))
    return model


def save(model, folder, suffix):
    path = folder / f"saved.{suffix}"
    model.save(path) if suffix == "keras" else model.save_weights(path)
    return path


@pytest.mark.every_backend
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_models_are_restored_as_keras_itself_does(suffix, tmp_path):
    model = small()
    model.compile("adamw", "sparse_categorical_crossentropy")  # its state is no weight
    model.optimizer.build(model.trainable_variables)
    path = save(model, tmp_path, suffix)
    helpers.assert_equal_weights(model, small(weights=path))
    again = small(weights=None, name="again")
    again.load_weights(path)
    helpers.assert_equal_weights(model, again)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.1, "drop_path": 0.2, "attention_dropout": 0.1, "name": "other"},
        {"include_preprocessing": True, "classifier_activation": "softmax"},
    ],
)
def test_what_has_no_weights_may_differ(settings, suffix, tmp_path):
    model = small()
    path = save(model, tmp_path, suffix)
    helpers.assert_equal_weights(model, small(weights=path, **settings))
    path = save(small(**settings), tmp_path, suffix)
    helpers.assert_equal_weights(model, small(weights=path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_sizes_and_class_counts(suffix, tmp_path, caplog):
    model = small()
    path = save(model, tmp_path, suffix)
    with caplog.at_level(logging.INFO, "keras_t2t"):
        other = small((96, 160), classes=3, weights=path)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("head for 10 classes and the model for 3" in m for m in messages) == 1
    assert sum("position table" in m for m in messages) == 1
    helpers.assert_equal_weights(model, other, but=["head", "position_embedding"])
    table = model.get_layer("position_embedding").table.numpy()
    np.testing.assert_array_equal(
        other.get_layer("position_embedding").table.numpy(),
        resize_table(table, (4, 4), (6, 10)),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_with_and_without_a_top(suffix, tmp_path, caplog):
    model = small()
    backbone = small(include_top=False, weights=save(model, tmp_path, suffix))
    helpers.assert_equal_weights(backbone, model)
    path = save(backbone, tmp_path, suffix)
    with caplog.at_level(logging.INFO, "keras_t2t"):
        helpers.assert_equal_weights(backbone, small(weights=path))
    assert "head for no classes and the model for 10" in caplog.text


def test_a_keras_file_tells_its_grid(tmp_path):
    """4 x 16 tokens are as many as 8 x 8 and 16 x 4."""
    wide = small((64, 256))
    for suffix in SUFFIXES:
        path = save(wide, tmp_path, suffix)
        helpers.assert_equal_weights(wide, small((64, 256), weights=path))
    table = wide.get_layer("position_embedding").table.numpy()
    for size in ((128, 128), (256, 64)):
        other = small(size, weights=path)
        np.testing.assert_array_equal(
            other.get_layer("position_embedding").table.numpy(),
            resize_table(table, (4, 16), (size[0] // 16, size[1] // 16)),
        )


def test_a_loaded_model_has_the_same_keys(tmp_path):
    model = small()
    loaded = keras.models.load_model(save(model, tmp_path, "keras"))
    assert list(keras_file.variable_keys(loaded)) == list(
        keras_file.variable_keys(model)
    )
    keys = keras_file.read(tmp_path / "saved.keras").arrays
    assert set(keys) == set(keras_file.variable_keys(model))
    assert len(official_entries(loaded)) == len(model.weights)


@pytest.mark.every_backend
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_precision_files(suffix, tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = small(token_type="transformer")
        path = save(model, tmp_path, suffix)
    finally:
        keras.config.set_dtype_policy("float32")
    other = small(weights=path, token_type="transformer")
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(
            np.array(ours.numpy()).astype("float32"), theirs.numpy()
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_variant_is_named(suffix, tmp_path):
    path = save(helpers.build("T2TViT7"), tmp_path, suffix)
    with pytest.raises(ValueError, match=r"this is T2TViT7, and .* is T2TViT10$"):
        helpers.build("T2TViT10", weights=path)


def test_other_models_and_damaged_files(tmp_path):
    other = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    path = save(other, tmp_path, "weights.h5")
    with pytest.raises(ValueError, match="missing: cls_token"):
        small(weights=path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match="is damaged or was not written by Keras"):
        small(weights=path)
    path = save(small(), tmp_path, "keras")
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ValueError, match="is damaged or was not written by Keras"):
        small(weights=path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="is damaged or was not written by Keras"):
        small(weights=path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_number_of_heads_is_told(suffix, tmp_path):
    """No shape tells it: 4 heads took the weights of 2."""
    path = save(small(), tmp_path, suffix)
    with pytest.raises(ValueError, match=r"has 2 heads, and that of the model.*has 4"):
        small(weights=path, num_heads=4)
    model = small(num_heads=4)
    with pytest.raises(ValueError, match="has 2 heads, and the model's has 4"):
        model.load_weights(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_do_not_tell_their_heads_load(suffix, tmp_path, monkeypatch):
    """Those of earlier versions."""
    layer = MultiHeadSelfAttention
    monkeypatch.setattr(layer, "save_own_variables", keras.Layer.save_own_variables)
    model = small()
    path = save(model, tmp_path, suffix)
    helpers.assert_equal_weights(model, small(weights=path))
    again = small()
    again.load_weights(path)
    helpers.assert_equal_weights(model, again)


def test_a_file_of_ours_tells_every_flipped_bit(tmp_path):
    model, path = small(), tmp_path / "x.weights.h5"
    keras_file.save_weights(model, path)
    again = small(name="again")
    again.load_weights(path)  # Keras does not mind
    helpers.assert_equal_weights(model, again)
    data = bytearray(path.read_bytes())
    for place in range(0, len(data) - keras_file.SEAL_SIZE, len(data) // 50):
        data[place] ^= 4
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.weights\.h5 is damaged.*SHA-256"):
            keras_file.read(path)
        data[place] ^= 4


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value, suffix, tmp_path):
    broken = small()
    head = broken.get_layer("head").kernel
    head.assign(np.full(head.shape, value))
    path = save(broken, tmp_path, suffix)
    model = small()
    before = helpers.arrays(model)
    with pytest.raises(ValueError, match=r"not finite: head/0 \(head\.weight\)"):
        keras_t2t.load_checkpoint(model, path)
    for name, array in helpers.arrays(model).items():
        np.testing.assert_array_equal(array, before[name])


HDF5_TRICKS = {
    "a soft link": lambda file: file.__setitem__("layers/x", h5py.SoftLink("/layers")),
    "a circle": lambda file: file.__setitem__("layers/x", file["layers"]),
    "a huge shape": lambda file: file["layers/class_token/vars"].create_dataset(
        "1", (2**40,), "float32"
    ),
    "huge chunks": lambda file: file["layers/class_token/vars"].create_dataset(
        "1", (1,), "float32", chunks=(2**28,), maxshape=(None,)
    ),
    "text": lambda file: file.__setitem__("layers/class_token/vars/1", "text"),
    "references": lambda file: file["layers/class_token/vars"].create_dataset(
        "1", (3,), h5py.ref_dtype
    ),
    "a name that is none": lambda file: file[
        "layers/class_token/vars"
    ].attrs.__setitem__("name", 3),
    "one name twice": lambda file: file["layers/class_token/vars"].attrs.__setitem__(
        "name", "norm"
    ),
    "numbers at layers": lambda file: (
        file.__delitem__("layers"),
        file.__setitem__("layers", np.ones(3)),
    ),
}


@pytest.mark.parametrize("trick", HDF5_TRICKS)
def test_what_hdf5_can_hold_and_keras_does_not_write(trick, tmp_path):
    path = save(small(), tmp_path, "weights.h5")
    with h5py.File(path, "a") as file:
        HDF5_TRICKS[trick](file)
    with pytest.raises(ValueError, match=r"saved\.weights\.h5 is damaged") as error:
        keras_file.read(path)
    assert "\n" not in str(error.value)


def test_links_to_other_files_are_refused(tmp_path):
    path = save(small(), tmp_path, "weights.h5")
    with h5py.File(path, "a") as file:
        del file["layers/class_token"]
        file["layers/class_token"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(ValueError, match="class_token points elsewhere"):
        small(weights=path)
