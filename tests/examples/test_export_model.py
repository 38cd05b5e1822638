"""`examples/export_model.py` as its users call it."""

import json

import keras
import pytest
import torch

from tests.checkpoints import helpers
from tests.processes import example

NAMES = [f"flower {i}" for i in range(10)]


@pytest.mark.nightly
def test_a_checkpoint_becomes_a_verified_file_with_class_names(tmp_path):
    torch.save(helpers.random_oracle("T2TViT7").state_dict(), tmp_path / "x.pth")
    (tmp_path / "classes.json").write_text(json.dumps(NAMES))
    path = tmp_path / "flowers.keras"
    weights = ("--weights", tmp_path / "x.pth", "--format", "keras")
    done = example("export_model.py", *weights, "--output", path)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("Exporting t2t_vit_7 -> keras (torch) ... ")
    assert "max |difference|" in line and "on 4 images" in line
    assert json.loads((tmp_path / "flowers.classes.json").read_text()) == NAMES
    model = keras.saving.load_model(path, compile=False)
    assert model.input.shape == (None, 64, 64, 3)
    assert model.output["logits"].shape == (None, 10)


@pytest.fixture
def exported(tmp_path, success):
    """A `.keras` file of weights for so many classes, without names."""

    def exported(classes):
        oracle = helpers.random_oracle("T2TViT7", classes=classes)
        torch.save(oracle.state_dict(), tmp_path / "x.pth")
        weights = ("--weights", tmp_path / "x.pth", "--format", "keras", "--no-verify")
        success("export_model.py", *weights, "--output", tmp_path / "x.keras")
        return tmp_path / "x.keras"

    return exported


def test_classes_without_names_are_numbered(exported):
    names = json.loads(exported(3).with_suffix(".classes.json").read_text())
    assert names == [f"class {i}" for i in range(3)]


def test_one_output_is_served_as_a_sigmoid(exported):
    model = keras.saving.load_model(exported(1), compile=False)
    assert model.get_layer("probabilities").activation is keras.activations.sigmoid
