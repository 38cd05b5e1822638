"""What is known of a model before it is built, and the model that is built of it."""

import json

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints.published_file import Pretrained
from keras_t2t.checkpoints.standardization import standardization_of
from keras_t2t.classifier import find_classifier
from keras_t2t.preprocessing import pixel_model
from keras_t2t.training.source import normalization_of
from tests.checkpoints.helpers import build, change_config

pytestmark = pytest.mark.once


def test_random_weights():
    classifier = find_classifier("random")
    assert classifier[:4] == ("random", "T2TViT14", (224, 224), 1000)
    assert classifier.class_names[7] == "class 7"  # nobody taught it ImageNet's
    classifier = find_classifier("random", "T2TViT7", [32, 48])
    model = classifier.build()
    assert model.input_shape == (None, 32, 48, 3)
    probabilities = keras.ops.convert_to_numpy(model(np.zeros((1, 32, 48, 3))))
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)


def test_published_weights_bring_size_names_and_transform():
    classifier = find_classifier("cifar10", "T2TViT19")
    assert classifier.size == (224, 224)
    assert classifier.class_names[0] == "airplane"
    assert classifier.transform == {"crop": 1.0, "interpolation": "bilinear"}
    assert find_classifier("imagenet").class_names is None


TIMM = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.95}


@pytest.fixture(scope="module")
def timm(tmp_path_factory):
    """Function: changes of `TIMM` -> weights, beside the config.json that says so."""
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    keras_t2t.save_official(build("T2TViT7", (32, 32), 2), path)

    def write(**changes):
        config = {"architecture": "vit_small_patch16_224"}
        config["pretrained_cfg"] = {**TIMM, **changes}
        path.with_name("config.json").write_text(json.dumps(config))
        return path

    return write


def test_timm_s_config_says_how_images_are_prepared(timm):
    found = find_classifier(timm())
    assert found.normalization == NORMALIZATIONS["inception"]
    assert found.transform == {"crop": 0.95, "interpolation": "bicubic"}
    assert normalization_of(found) == "inception"  # for fine-tuning
    odd = found._replace(normalization=((0.1, 0.2, 0.3), (1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match="give normalization, one of imagenet, cifar"):
        normalization_of(odd)
    settings = {"weights": found.weights, "include_preprocessing": True}
    for each in (build("T2TViT7", (32, 32), 2, **settings), found.build()):
        mean, std = standardization_of(each)
        np.testing.assert_allclose((mean, std), 0.5, rtol=1e-5)
    assert find_classifier(timm(crop_pct=None)).crop == 0.9


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("mean", [0.5], "three numbers"),
        ("std", [0, 1, 1], "three numbers greater than 0"),
        ("crop_pct", 2, r"in \(0, 1\]"),
        ("interpolation", "random", "one of"),
    ],
)
def test_a_config_of_timm_out_of_range(key, value, accepted, timm):
    """How images are cut is read only where that is used."""
    path, match = timm(**{key: value}), f"config.json: `{key}` must be {accepted}"
    if key in ("mean", "std"):
        with pytest.raises(ValueError, match=match):
            Pretrained(path).standardization  # noqa: B018
    else:
        assert Pretrained(path).standardization == NORMALIZATIONS["inception"]
    with pytest.raises(ValueError, match=match):
        find_classifier(path)


@pytest.mark.parametrize(
    ("name", "record", "told"),
    [
        ("best.weights.h5", {"normalization": ["inception"]}, "imagenet"),
        ("best.weights.h5", [], "imagenet"),
        ("other.weights.h5", {"normalization": "inception"}, "imagenet"),
    ],
)
def test_a_run_s_record_says_how_pixels_are_standardised(name, record, told, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(record))
    (tmp_path / name).touch()
    assert Pretrained(tmp_path / name).standardization == NORMALIZATIONS[told]


@pytest.mark.nightly  # 94 MB
def test_a_resnet_of_a_run(tmp_path):
    settings = {"include_preprocessing": True, "classes": 3}
    shape, inception = (32, 32, 3), NORMALIZATIONS["inception"]
    model = pixel_model(keras_t2t.ResNet50, shape, *inception, classes=3)
    best, final = tmp_path / "best.weights.h5", tmp_path / "final.keras"
    model.save_weights(best)
    model.save(final)
    (tmp_path / "classes.json").write_text(json.dumps(["a", "b", "c"]))
    classifier = find_classifier(str(best), "ResNet50", (32, 32))
    assert classifier.class_names == ["a", "b", "c"]
    again = find_classifier(final, "ResNet50")  # the file says the size and the mean
    assert again.size == (32, 32)
    np.testing.assert_allclose(again.normalization, NORMALIZATIONS["inception"], 1e-6)
    built = keras_t2t.ResNet50(weights=final, input_shape=(32, 32, 3), **settings)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    expected = model.predict(images, verbose=0)
    classifier = classifier._replace(normalization=inception)  # it is no run's
    for found in (classifier.build(), again.build(), built):
        outputs = found.predict(images, verbose=0)
        np.testing.assert_array_equal(outputs, expected)


def test_bad_weights(tmp_path):
    (tmp_path / "x.pth").touch()
    with pytest.raises(ValueError, match=r"the weights of ResNet50 must be a .* file"):
        find_classifier(tmp_path / "x.pth", "ResNet50")
    with pytest.raises(ValueError, match="unknown model 'T2TViT15'"):
        find_classifier("random", "T2TViT15")
    with pytest.raises(ValueError, match="no weights='imagenet' for ResNet50"):
        find_classifier("imagenet", "ResNet50")
    model = keras_t2t.T2TViT7(input_shape=(16, 16, 3))
    model.save(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="is no ResNet50 with a head"):
        find_classifier(tmp_path / "x.keras", "ResNet50")


class Halved(keras.layers.Layer):
    def call(self, x):
        return x / 2


def test_a_whole_model_comes_back(tmp_path):
    model = keras_t2t.T2TViT(16, 1, 2, 2, input_shape=(32, 48, 3), classes=3)
    model.save(tmp_path / "final.keras")
    images = np.random.default_rng(0).normal(size=(2, 32, 48, 3))
    expected = model.predict(images, verbose=0)
    for path in (tmp_path, tmp_path / "final.keras"):
        loaded = keras_t2t.load(path)
        assert not loaded.compiled
        np.testing.assert_array_equal(loaded.predict(images, verbose=0), expected)
    with pytest.raises(ValueError, match="is no run folder"):
        keras_t2t.load(tmp_path, ema=True)
    with pytest.raises(ValueError, match=r"`ema` chooses .* of a run folder"):
        keras_t2t.load(tmp_path / "final.keras", ema=True)
    model.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(ValueError, match=r"`path` must be a \.keras file or a run"):
        keras_t2t.load(tmp_path / "x.weights.h5")
    with pytest.raises(FileNotFoundError, match=r"gone\.keras"):
        keras_t2t.load(tmp_path / "gone.keras")
    (tmp_path / "half.keras").write_bytes((tmp_path / "final.keras").read_bytes()[:999])
    with pytest.raises(ValueError, match=r"half\.keras is damaged"):
        keras_t2t.load(tmp_path / "half.keras")


@pytest.mark.parametrize("parts", [[1], {"qkv": 3}, {"qkv": {"lora_rank": "x"}}])
def test_a_crafted_configuration_is_one_line(parts, tmp_path):
    model = keras_t2t.T2TViT(16, 1, 2, 2, input_shape=(32, 32, 3), classes=3)
    model.save(tmp_path / "saved.keras")

    def change(config):
        for layer in config["config"]["layers"]:
            if layer["name"] == "block_0_attention":
                layer["config"]["parts"] = parts

    change_config(tmp_path / "saved.keras", change)
    with pytest.raises(ValueError, match=r"saved\.keras cannot be loaded") as error:
        keras_t2t.load(tmp_path / "saved.keras")
    assert "\n" not in str(error.value)


def test_an_unknown_layer_is_named(tmp_path):
    image = keras.Input((4,))
    foreign = keras.Model(image, Halved(name="mine")(keras.layers.Dense(2)(image)))
    foreign.save(tmp_path / "foreign.keras")
    with pytest.raises(ValueError, match=r"foreign\.keras cannot be loaded: .*Halved"):
        keras_t2t.load(tmp_path / "foreign.keras")
