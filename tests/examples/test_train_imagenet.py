"""The script as a person starts it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_imagenet.py"
SHORT = ["--image-size=32", "--batch-size=4", "--steps-per-epoch=2", "--epochs=1"]


@pytest.fixture
def script(monkeypatch, tmp_path, capsys):
    """Runs the script in this process, in an empty folder; returns (status, out)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        monkeypatch.syspath_prepend(SCRIPT.parent)
        status = None
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr()

    return run


@pytest.mark.nightly
def test_without_data_it_says_so_and_trains_on_digits(tmp_path):
    """In a fresh process: the flag chooses the backend."""
    result = subprocess.run(
        [sys.executable, SCRIPT, "--backend", keras.backend.backend(), *SHORT],
        cwd=tmp_path,
        env={
            **os.environ,
            "KERAS_BACKEND": "none such",
            "PYTHONPATH": str(ROOT),
            "TFDS_DATA_DIR": str(tmp_path / "tfds"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.strip().splitlines()
    assert lines[0].startswith("Data: digits, 1,437 training and 360 validation images")
    assert "image-net.org" in lines[0]
    record = json.loads(lines[-1])
    assert record["backend"] == keras.backend.backend()
    assert (record["dataset"], record["epochs"]) == ("digits", 1)
    folder = tmp_path / record["output_dir"]
    assert folder.parent.name == "runs"
    assert (folder / "final.keras").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--batch-size", "0"],
            "train_imagenet.py: batch_size must be an integer at least 1",
        ),
        (
            ["--learning-rate", "-1"],
            "train_imagenet.py: learning_rate must be greater than 0",
        ),
        (
            ["--model", "T2TViT15"],
            "train_imagenet.py: unknown model 'T2TViT15': did you mean",
        ),
        (["--dataset", "cifar11"], "cifar10"),
        (["--dataset", "cifar10"], "download_and_prepare"),
        (["--data-dir", "nowhere"], "'nowhere' is not an existing folder"),
        (
            ["--image-size", "8"],
            "train_imagenet.py: image_size must be an integer at least 16",
        ),
        (
            ["--output", "/proc/run"],
            "train_imagenet.py: output_dir '/proc/run' cannot be written: No such file",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(script, tmp_path, arguments, message):
    status, captured = script(*arguments)
    assert status == 2
    (line,) = captured.err.splitlines()
    assert line.startswith("train_imagenet.py: ") and message in line
    assert not list(tmp_path.iterdir())


def test_unknown_backend(script, capsys):
    status, captured = script("--backend", "numpy")
    assert status == 2
    assert "invalid choice: 'numpy'" in captured.err
