"""The converter as its users call it."""

import keras
import numpy as np
import pytest
import torch

from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints.loading import CheckpointFile
from keras_t2t.classifier import find_classifier
from tests.checkpoints import helpers
from tests.processes import example


@pytest.fixture(scope="module")
def oracle():
    return helpers.random_oracle("T2TViT7")


@pytest.fixture(scope="module")
def original(oracle, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "7.pth.tar"
    averaged = {name: value + 1 for name, value in oracle.state_dict().items()}
    torch.save({"state_dict": averaged, "state_dict_ema": oracle.state_dict()}, path)
    return path


@pytest.mark.parametrize("suffix", ["weights.h5", "safetensors"])
def test_the_result_holds_the_same_weights(suffix, original, oracle, tmp_path, success):
    output = tmp_path / f"converted.{suffix}"
    out = success("convert_checkpoint.py", original, "--output", output)
    assert "T2TViT7, 64x64 px, 10 classes" in out
    helpers.assert_holds(helpers.build("T2TViT7", weights=output), oracle)


def test_the_model_may_be_named(tmp_path, finish):
    """Its number of heads is not in the file."""
    oracle = helpers.random_oracle("T2TViT14")
    torch.save(oracle.state_dict(), tmp_path / "x.pth")
    output = tmp_path / "x.weights.h5"
    words = ("convert_checkpoint.py", tmp_path / "x.pth", "--output", output, "--model")
    code, out, err = finish(*words, "T2TViT14ResNeXt")
    assert (code, err) == (0, "") and "T2TViT14ResNeXt, 64x64 px" in out
    assert CheckpointFile(output).description().variant == "T2TViT14ResNeXt"


def test_what_is_known_of_the_pixels_is_kept(oracle, tmp_path, success):
    """A published name tells it, a `.keras` tells it again, a `.pth` cannot."""
    path = tmp_path / "cifar10_t2t-vit_14_98.3.pth"
    torch.save(oracle.state_dict(), path)
    for name in ("first.keras", "second.keras"):
        words = (path, "--output", tmp_path / name, "--image-size", "96")
        assert "for RGB 0..255" in success("convert_checkpoint.py", *words)
        path = tmp_path / name
        found = find_classifier(path).normalization
        np.testing.assert_allclose(found, NORMALIZATIONS["cifar"], rtol=1e-5)
    out = success("convert_checkpoint.py", path, "--output", tmp_path / "third.pth")
    assert "of mean [0.4914, 0.4822, 0.4465] and standard" in out


@pytest.mark.nightly
def test_another_size_and_the_raw_weights(original, oracle, tmp_path):
    output = tmp_path / "wide.keras"
    done = example(
        "convert_checkpoint.py",
        *(original, "--output", output, "--image-size", "64x96", "--raw"),
        *("--backend", keras.backend.backend()),
        KERAS_BACKEND="no such backend",  # the flag is stronger
    )
    assert done.returncode == 0, done.stderr
    assert CheckpointFile(output).description()[:3] == ("T2TViT7", 10, (4, 6))
    model = helpers.build("T2TViT7", (64, 96), weights=output)
    class_token = model.get_layer("class_token").class_token.numpy()
    np.testing.assert_array_equal(class_token, oracle.cls_token.detach() + 1)
