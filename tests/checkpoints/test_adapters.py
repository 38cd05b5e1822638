"""Adapters of low rank: nothing at first, a file of their own, merged in all others."""

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.checkpoints import adapters, keras_file
from tests.checkpoints.helpers import arrays, refusal, save
from tests.examples.small_run import IMAGES, SIZE, outputs, random_model

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
    model.predict(IMAGES, verbose=0)  # what is compiled knows nothing of adapters
    keras_t2t.load_adapters(model, file)
    np.testing.assert_array_equal(outputs(model), expected)
    predicted = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
    assert len(model.trainable_weights) == 2 + 8
    keras_t2t.save_adapters(adapted(seed=1), tmp_path / "y.lora.h5")
    keras_t2t.load_adapters(model, tmp_path / "y.lora.h5")
    np.testing.assert_array_equal(outputs(model), outputs(adapted(seed=1)))
    keras_t2t.load_adapters(model, file)  # in the place of the others
    np.testing.assert_array_equal(outputs(model), expected)


@pytest.mark.parametrize("frozen", [slice(None, -1), slice(None)])
def test_adapters_of_frozen_layers_are_trained(frozen):
    model = random_model()
    for layer in model.layers[frozen]:
        layer.trainable = False
    keras_t2t.add_adapters(model, RANK)
    assert len(model.trainable_weights) == 2 + 8


@pytest.mark.nightly_elsewhere
def test_merged_it_is_an_ordinary_model(tmp_path):
    model = adapted()
    expected, before = outputs(model), [np.array(w) for w in model.get_weights()]
    with adapters.merged_adapters(model):
        model.save(tmp_path / "x.keras")
    np.testing.assert_equal(list(map(np.array, model.get_weights())), before)
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
    load, add, other = keras_t2t.load_adapters, keras_t2t.add_adapters, random_model()
    of_rank_2, of_other_weights = random_model(), random_model(seed=1)
    add(of_rank_2, 2)
    of_keras = with_low_rank("qkv", "projection", "expand", "contract")
    for function, model, value, message in (
        (load, of_other_weights, file, "was trained on other weights"),
        (load, random_model(classes=5), file, "head for 7 classes, but .* for 5"),
        (load, another(16, 2, classes=7), file, "has block_1_attention/"),
        (load, another(32, 1, classes=7), file, r"has shape \(16, 3\), but"),
        (load, another(16, 1, include_top=False), file, "the file has head/"),
        (load, of_rank_2, file, r"has shape \(16, 3\), but the model needs \(16, 2"),
        (load, keras.Sequential([keras.Input((4,))]), file, "must be a whole T2T-ViT"),
        (load, other, tmp_path / "x.h5", "must end in .lora.h5"),
        (load, other, tmp_path / "gone.lora.h5", "must be an existing file"),
        (add, of_rank_2, 2, "has adapters already"),
        (add, other, 0, "`rank` must be"),
        (keras_t2t.save_adapters, other, file, "has no adapters"),
        (
            keras_t2t.save_adapters,
            of_keras,
            file,
            "also trains ",
        ),  # kernels alone froze
    ):
        before = arrays(model)
        refusal(function, model, value, match=message)
        np.testing.assert_equal(arrays(model), before)


def test_layers_of_ones_own_are_neither_frozen_nor_lost(file, tmp_path):
    base = adapted()
    norm = keras.layers.BatchNormalization(name="own_norm")
    x = keras.layers.GlobalAveragePooling1D()(norm(base.get_layer("norm").output))
    model = keras.Model(base.input, keras.layers.Dense(4, name="classifier")(x))
    before = [(weight.path, weight.trainable) for weight in model.weights]
    for function, value in (
        (keras_t2t.add_adapters, RANK),
        (keras_t2t.load_adapters, file),
        (keras_t2t.save_adapters, tmp_path / "y.lora.h5"),
        (keras_t2t.save_official, tmp_path / "y.pth"),
    ):
        layers_and_remedy = f"own_norm, classifier: call {function.__name__} "
        refusal(function, model, value, match=layers_and_remedy)
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


def test_a_damaged_file_is_refused(file, tmp_path):
    whole = file.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    model = adapted()
    model.get_layer("block_0_mlp").expand.lora_kernel_b.assign(np.full((3, 32), np.nan))
    keras_t2t.save_adapters(model, file)
    not_finite = file.read_bytes()
    keras_file.save_weights(random_model(), tmp_path / "x.weights.h5")
    of_no_adapters = (tmp_path / "x.weights.h5").read_bytes()
    for content, match in (
        *((damaged, "is damaged") for damaged in (whole[:-1], b"", changed)),
        (not_finite, "finite numbers"),
        (of_no_adapters, "has no adapters"),
    ):
        file.write_bytes(content)
        refusal(keras_t2t.load_adapters, random_model(), file, match=match)


# === Keras's own LoRA, and what raises in loading ===
def with_low_rank(*names):
    model = random_model()
    for path, part in adapters.adaptable(model).items():
        if path.endswith(names):
            part.enable_lora(2, lora_alpha=3)
            part.lora_kernel_b.assign(np.full(part.lora_kernel_b.shape, 0.5))
    return model


@pytest.mark.every_backend
@pytest.mark.parametrize("name", ["x.safetensors", "x.weights.h5", "x.keras"])
def test_what_is_saved_is_merged(name, tmp_path):
    model = with_low_rank("qkv", "expand")
    save(model, tmp_path / name)
    expected = outputs(model)
    for other in (random_model(seed=1), with_low_rank("qkv", "expand")):
        keras_t2t.load_checkpoint(other, tmp_path / name)
        np.testing.assert_allclose(outputs(other), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.every_backend
@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_an_error_in_loading_changes_nothing(raised, tmp_path, monkeypatch):
    keras_t2t.save_official(random_model(seed=1), tmp_path / "x.safetensors")
    model = with_low_rank("qkv", "expand")
    before = arrays(model)
    assign, calls = keras.Variable.assign, []

    def fails_once(variable, value):
        calls.append(variable)
        if len(calls) == 12:
            raise raised("at the twelfth")
        return assign(variable, value)

    monkeypatch.setattr(keras.Variable, "assign", fails_once)
    with pytest.raises(raised):
        keras_t2t.load_checkpoint(model, tmp_path / "x.safetensors")
    assert len(calls) > 12
    np.testing.assert_equal(arrays(model), before)
