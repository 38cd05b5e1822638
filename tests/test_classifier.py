"""What is known of a model before it is built, and the model that is built of it."""

import json
import zipfile

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints.published_file import Pretrained
from keras_t2t.checkpoints.standardization import standardization_of
from keras_t2t.checkpoints.timm_config import timm_preparation
from keras_t2t.classifier import find_classifier
from keras_t2t.training.source import normalization_of
from tests.checkpoints.helpers import rewrite

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
def timm_file(tmp_path_factory):
    """Weights with the config.json of their repository."""
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    keras_t2t.save_official(small(), path)
    config = {"architecture": "vit_small_patch16_224", "pretrained_cfg": TIMM}
    path.with_name("config.json").write_text(json.dumps(config))
    return path


def small(**settings):
    return keras_t2t.T2TViT7(classes=2, input_shape=(32, 32, 3), **settings)


def test_timm_s_config_says_how_images_are_prepared(timm_file):
    found = find_classifier(timm_file)
    assert found.normalization == NORMALIZATIONS["inception"]
    assert found.transform == {"crop": 0.95, "interpolation": "bicubic"}
    assert normalization_of(found) == "inception"  # for fine-tuning
    model = small(weights=timm_file, include_preprocessing=True)
    for each in (model, found.build()):
        mean, std = standardization_of(each)
        np.testing.assert_allclose((mean, std), 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("mean", [0.5], "`mean` must be three numbers"),
        ("std", [0, 1, 1], "`std` must be three numbers greater than 0"),
    ],
)
def test_a_config_of_timm_out_of_range(key, value, match, tmp_path):
    config = {"pretrained_cfg": {**TIMM, key: value}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"config.json: {match}"):
        timm_preparation(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("crop_pct", 2, r"`crop_pct` must be in \(0, 1\], got 2"),
        ("interpolation", "random", "`interpolation` must be one of"),
        ("crop_pct", None, None),
    ],
)
def test_how_timm_cuts_is_read_only_where_it_is_used(key, value, match, tmp_path):
    path = tmp_path / "x.safetensors"
    keras_t2t.save_official(small(), path)
    config = {"pretrained_cfg": {**TIMM, key: value}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Pretrained(path).standardization == NORMALIZATIONS["inception"]
    if match is None:
        assert find_classifier(path).crop == 0.9
        return
    with pytest.raises(ValueError, match=f"config.json: {match}"):
        find_classifier(path)


@pytest.mark.parametrize(
    ("name", "record", "told"),
    [
        ("best.weights.h5", {"normalization": "inception"}, "inception"),
        ("best.weights.h5", {"normalization": ["inception"]}, "imagenet"),
        ("best.weights.h5", [], "imagenet"),
        ("other.weights.h5", {"normalization": "inception"}, "imagenet"),
    ],
)
def test_a_run_s_record_says_how_pixels_are_standardised(name, record, told, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(record))
    (tmp_path / name).touch()
    assert Pretrained(tmp_path / name).standardization == NORMALIZATIONS[told]


def test_weights_for_pixels_that_have_no_name(timm_file):
    found = find_classifier(timm_file)
    found = found._replace(normalization=((0.1, 0.2, 0.3), (1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match="give normalization, one of imagenet, cifar"):
        normalization_of(found)


@pytest.mark.nightly  # 94 MB
def test_a_resnet_of_a_run(tmp_path):
    settings = {"include_preprocessing": True, "classes": 3}
    model = keras_t2t.ResNet50(input_shape=(32, 32, 3), **settings)
    model.save_weights(tmp_path / "best.weights.h5")
    (tmp_path / "classes.json").write_text(json.dumps(["a", "b", "c"]))
    path = str(tmp_path / "best.weights.h5")
    classifier = find_classifier(path, "ResNet50", (32, 32))
    assert classifier.class_names == ["a", "b", "c"]
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "final.keras")
    again = find_classifier(tmp_path / "final.keras", "ResNet50", (32, 32))
    path = tmp_path / "final.keras"
    built = keras_t2t.ResNet50(weights=path, input_shape=(32, 32, 3), **settings)
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
    with pytest.raises(ValueError, match=r"`path` must be a \.keras file or a run fol"):
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
    with zipfile.ZipFile(tmp_path / "saved.keras") as archive:
        config = json.loads(archive.read("config.json"))
    for layer in config["config"]["layers"]:
        if layer["name"] == "block_0_attention":
            layer["config"]["parts"] = parts
    rewrite(tmp_path / "saved.keras", {"config.json": json.dumps(config)})
    with pytest.raises(ValueError, match=r"saved\.keras cannot be loaded") as error:
        keras_t2t.load(tmp_path / "saved.keras")
    assert "\n" not in str(error.value)


def test_an_unknown_layer_is_named(tmp_path):
    image = keras.Input((4,))
    foreign = keras.Model(image, Halved(name="mine")(keras.layers.Dense(2)(image)))
    foreign.save(tmp_path / "foreign.keras")
    with pytest.raises(ValueError, match=r"foreign\.keras cannot be loaded: .*Halved"):
        keras_t2t.load(tmp_path / "foreign.keras")
