"""The script as a person starts it."""

import json

import keras
import pytest

from tests.processes import example

SHORT = ["--image-size=32", "--batch-size=4", "--steps-per-epoch=2", "--epochs=1"]


@pytest.mark.nightly
def test_without_data_it_says_so_and_trains_on_digits(tmp_path):
    """In a fresh process: the flag chooses the backend."""
    backend = keras.backend.backend()
    environment = {"KERAS_BACKEND": "none such", "TFDS_DATA_DIR": str(tmp_path / "x")}
    arguments = ("train_imagenet.py", "--backend", backend, *SHORT)
    result = example(*arguments, cwd=tmp_path, **environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.strip().splitlines()
    assert lines[0].startswith("Data: digits, 1,437 training and 360 validation images")
    assert "image-net.org" in lines[0]
    told = json.loads(lines[-1])
    assert (told["backend"], told["dataset"], told["epochs"]) == (backend, "digits", 1)
    folder = tmp_path / told["output_dir"]
    assert folder.parent.name == "runs"
    assert (folder / "final.keras").exists()
