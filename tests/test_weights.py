"""Weights come with the right pixels and the right names, or not at all."""

import functools
import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t._ground import hub_files
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.standardization import standardization_of
from keras_t2t.classifier import find_classifier
from keras_t2t.preprocessing import pixel_model
from tests.checkpoints.helpers import assert_refused, build, save

pytestmark = pytest.mark.once
small = functools.partial(build, "T2TViT7", (32, 32), 3)
CIFAR, IMAGENET = NORMALIZATIONS["cifar"], NORMALIZATIONS["imagenet"]


@pytest.fixture(scope="module")
def cifar_file(tmp_path_factory):
    """A `.keras` that takes pixels 0..255 and has CIFAR's mean inside."""
    settings = dict(zip(("mean", "std"), CIFAR, strict=True))
    settings |= {"input_shape": (32, 32, 3), "classes": 3}
    model = pixel_model(keras_t2t.T2TViT7, **settings)
    return save(model, tmp_path_factory.mktemp("weights") / "cifar.keras")


def test_a_file_s_own_mean_goes_into_the_model(cifar_file):
    pixels = np.full((1, 32, 32, 3), 100, "uint8")
    expected = keras_t2t.preprocess_input(pixels, *CIFAR)
    built = small(include_preprocessing=True, weights=cifar_file)
    for model in (built, find_classifier(cifar_file).build()):
        standardised = model.get_layer("preprocessing").output
        found = keras.Model(model.input, standardised).predict(pixels, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_file_is_read_once(cifar_file, monkeypatch):
    """Finding what it holds read all of it, and loading it read it again."""
    reads, read = [], keras_file.read
    monkeypatch.setattr(
        keras_file, "read", lambda path: reads.append(path) or read(path)
    )
    find_classifier(cifar_file).build()
    assert len(reads) == 1


OF_A_RUN = {"normalization": "inception", "versions": {"keras_t2t": "0.1"}}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("cifar.keras", None),
        ("cirfar100_t2t-vit-14_88.4.pth", None),
        ("model.pth", {"pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}),
        ("best.weights.h5", {"normalization": "inception"}),
        ("model.pth", OF_A_RUN),
    ],
)
def test_another_mean_inside_the_model_is_refused(name, config, cifar_file, tmp_path):
    """The model kept ImageNet's; `weights=` gives it the file's."""
    path, model = tmp_path / name, small(include_preprocessing=True)
    if name == cifar_file.name:
        shutil.copy(cifar_file, path)
    else:
        save(small(), path)
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    assert_refused(model, path, "is for pixels standardised with mean")
    keras_t2t.load_checkpoint(small(), path)  # it standardises nothing itself
    built = small(include_preprocessing=True, weights=path)
    keras_t2t.load_checkpoint(built, path)


def test_fine_tuning_may_choose_another_mean_than_the_file_s(cifar_file):
    """As docs/training.md says of `--normalization`."""
    find_classifier(cifar_file).load(small(include_preprocessing=True))


@pytest.fixture
def loaded(monkeypatch):
    """The `weights` that Keras's ResNet50 is given, which a model without any takes the
    place of."""
    files = []

    def without_weights(weights, input_tensor, **arguments):
        files.append(weights)
        return keras.Model(keras.utils.get_source_inputs(input_tensor), input_tensor)

    monkeypatch.setattr(keras.applications, "ResNet50", without_weights)
    return files


def resnet(**arguments):
    return keras_t2t.ResNet50(
        include_preprocessing=True, input_shape=(32, 32, 3), **arguments
    )


def test_a_resnet50_standardises_as_its_file_says(
    cifar_file, loaded, tmp_path, monkeypatch
):
    """Also that of a run on the hub, as its model card says."""
    final = tmp_path / "final.keras"
    shutil.copy(cifar_file, final)
    hub = SimpleNamespace(snapshot_download=lambda *a, **b: tmp_path, errors=None)
    monkeypatch.setattr(hub_files, "import_huggingface_hub", lambda: hub)
    for weights, file, expected in (
        (cifar_file, cifar_file, CIFAR),
        ("hf://ada/flowers", final, CIFAR),
        (None, None, IMAGENET),
    ):
        told = standardization_of(resnet(weights=weights))
        np.testing.assert_allclose(told, expected, rtol=1e-5)
        assert loaded.pop() == file
    with pytest.raises(ValueError, match=r"path of an existing file, got .*gone"):
        resnet(weights=tmp_path / "gone.keras")


@pytest.mark.parametrize("run", [True, False])
def test_class_names_of_another_number_are_refused(run, tmp_path):
    """The model had a random head for as many classes as there are names."""
    small().save(tmp_path / "final.keras")
    if run:
        config = {"model": "T2TViT7", "image_size": 32, "crop": 0.9}
        config |= {"interpolation": "bicubic", "normalization": "imagenet"}
        (tmp_path / "config.json").write_text(json.dumps(config))
    names = tmp_path / "classes.json"
    names.write_text(json.dumps(["a", "b", "c", "d"]))
    with pytest.raises(ValueError, match=r"classes\.json has 4 class names, but"):
        find_classifier(tmp_path / "final.keras")
    names.write_text(json.dumps(["a", "b", "c"]))
    assert find_classifier(tmp_path / "final.keras").class_names == ["a", "b", "c"]
    for content in ('{"a": 1}', "[1, 2, 3]", '["a",'):
        names.write_text(content)
        with pytest.raises(ValueError, match=r"classes\.json (must hold|is no JSON)"):
            find_classifier(tmp_path / "final.keras")
