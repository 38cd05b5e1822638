"""Adapters of low rank: nothing at first, a file of their own, one-line errors."""

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.checkpoints import adapters, keras_file
from tests.examples.small_run import SIZE, outputs, random_model

RANK = 3


def adapted(seed=0):
    """A model with adapters that have learnt something."""
    model = random_model()
    keras_t2t.add_adapters(model, RANK)
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return model


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.lora.h5"
    keras_t2t.save_adapters(adapted(), path)
    return path


@pytest.mark.nightly_elsewhere
def test_adapters_begin_as_nothing():
    model = random_model()
    expected, before = outputs(model), {id(weight) for weight in model.weights}
    keras_t2t.add_adapters(model, RANK)
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)
    parts = ("attention/qkv", "attention/projection", "mlp/expand", "mlp/contract")
    trained = {weight.path for weight in model.trainable_weights}
    assert trained == {"head/kernel", "head/bias"} | {
        f"block_0_{part}/lora_kernel_{side}" for part in parts for side in "ab"
    }
    added = {id(weight) for weight in model.weights} - before
    assert len(added) == 2 * len(parts)


@pytest.mark.every_backend
def test_a_file_of_the_adapters_alone(file, tmp_path):
    expected, model = outputs(adapted()), random_model()
    keras_t2t.load_adapters(model, file)
    np.testing.assert_array_equal(outputs(model), expected)
    assert len(model.trainable_weights) == 2 + 8
    keras_t2t.save_adapters(adapted(seed=1), tmp_path / "y.lora.h5")
    keras_t2t.load_adapters(model, tmp_path / "y.lora.h5")
    np.testing.assert_array_equal(outputs(model), outputs(adapted(seed=1)))
    keras_t2t.load_adapters(model, file)  # in the place of the others
    np.testing.assert_array_equal(outputs(model), expected)


@pytest.mark.nightly_elsewhere
def test_merged_it_is_an_ordinary_model(tmp_path):
    model = adapted()
    expected, before = outputs(model), [np.array(w) for w in model.get_weights()]
    with adapters.merged_adapters(model):
        model.save(tmp_path / "x.keras")
    for weight, array in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, array)
    plain, ordinary = keras_t2t.load(tmp_path / "x.keras"), random_model()
    assert not adapters.has_adapters(plain)
    assert len(plain.weights) == len(ordinary.weights)
    assert len(plain.trainable_weights) == len(ordinary.trainable_weights)
    # float32: a product is added to the kernel and not to the output
    np.testing.assert_allclose(outputs(plain), expected, rtol=1e-5, atol=1e-5)


def another(width, depth, **settings):
    settings["input_shape"] = (SIZE, SIZE, 3)
    return keras_t2t.T2TViT(width, depth, 2, 2, "convolution", **settings)


def test_adapters_of_another_model_are_refused(file, tmp_path):
    load, other = keras_t2t.load_adapters, random_model(seed=1)
    before = outputs(other)
    refused(load, other, file, "was trained on other weights than the model's in blo")
    np.testing.assert_array_equal(outputs(other), before)
    assert not adapters.has_adapters(other)
    of_rank_2 = random_model()
    keras_t2t.add_adapters(of_rank_2, 2)
    for model, message in (
        (random_model(classes=5), "a head for 7 classes, but .* for 5"),
        (another(16, 2, classes=7), "another model than.*has block_1_attention/"),
        (another(32, 1, classes=7), r"block_0_.*has shape \(16, 3\), but"),
        (another(16, 1, include_top=False), "the file has head/"),
        (of_rank_2, r"has shape \(16, 3\), but the model needs \(16, 2"),
        (keras.Sequential([keras.Input((4,))]), "must be a whole T2T-ViT"),
    ):
        refused(load, model, file, message)
    refused(load, other, tmp_path / "x.h5", "must end in .lora.h5")
    refused(keras_t2t.add_adapters, of_rank_2, 2, "has adapters already")
    refused(keras_t2t.add_adapters, random_model(), 0, "`rank` must be a positive int")
    refused(keras_t2t.save_adapters, random_model(), file, "has no adapters")
    with pytest.raises(FileNotFoundError, match=r"must be an existing file"):
        load(other, tmp_path / "gone.lora.h5")


def test_other_weights_that_are_trained_are_not_lost(file):
    """Keras's own LoRA freezes kernels alone."""
    model = random_model()
    for part in adapters.adaptable(model).values():
        part.enable_lora(RANK)
    refused(keras_t2t.save_adapters, model, file, "also trains .*, which a file of ad")


def test_layers_of_ones_own_are_neither_frozen_nor_lost(file, tmp_path):
    base = adapted()
    flat = keras.layers.BatchNormalization(name="own_norm")(
        base.get_layer("norm").output
    )
    x = keras.layers.GlobalAveragePooling1D()(flat)
    model = keras.Model(base.input, keras.layers.Dense(4, name="classifier")(x))
    before = [(weight.path, weight.trainable) for weight in model.weights]
    layers = "has weights outside the T2T-ViT, in the layers own_norm, classifier: "
    for function, value, remedy in (
        (keras_t2t.add_adapters, RANK, "call add_adapters on the T2T-ViT before you"),
        (keras_t2t.load_adapters, file, "call load_adapters on the T2T-ViT before you"),
        (keras_t2t.save_adapters, tmp_path / "y.lora.h5", "call save_adapters on the"),
        (keras_t2t.save_official, tmp_path / "y.pth", "call save_official on the T2T"),
    ):
        refused(function, model, value, layers + remedy)
    assert before == [(weight.path, weight.trainable) for weight in model.weights]
    assert not list(tmp_path.glob("y.*"))


def test_statistics_of_pixels_are_not_layers_of_ones_own(tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    learnt = keras.layers.Normalization(name="preprocessing")
    learnt.adapt(np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)))
    dropped = keras.layers.Dropout(0.1)(learnt(image))
    model = keras_t2t.T2TViT(16, 1, 2, 2, "convolution", input_tensor=dropped)
    assert learnt.weights
    keras_t2t.add_adapters(model, RANK)
    keras_t2t.save_adapters(model, tmp_path / "x.lora.h5")
    keras_t2t.save_official(model, tmp_path / "x.pth")


def test_a_damaged_file_is_refused(file):
    whole = file.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (whole[:-1], whole[:middle], b"", changed):
        file.write_bytes(content)
        refused(keras_t2t.load_adapters, random_model(), file, "is damaged.* SHA-256")


def test_numbers_that_are_not_finite_are_refused(file, tmp_path):
    model = adapted()
    model.get_layer("block_0_mlp").expand.lora_kernel_b.assign(np.full((3, 32), np.nan))
    keras_t2t.save_adapters(model, file)
    refused(keras_t2t.load_adapters, random_model(), file, "must have finite numbers")
    keras_file.save_weights(random_model(), tmp_path / "x.weights.h5")
    (tmp_path / "x.weights.h5").rename(file)
    refused(keras_t2t.load_adapters, random_model(), file, "has no adapters")


def refused(function, model, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        function(model, value)
    assert "\n" not in str(caught.value)
