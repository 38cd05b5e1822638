"""The learning curve, and Weights & Biases where it is installed."""

import sys
import types
from pathlib import Path

import keras
import pytest
from PIL import Image

from keras_t2t.training.recording import draw_curves, log_to_wandb, wandb_logger

pytestmark = pytest.mark.once


def test_the_learning_curve_is_drawn(tmp_path):
    history = [
        {"loss": 2 / n, "val_loss": 3 / n, "top1": 0.1 * n, "val_top1": 0.2 * n}
        for n in range(1, 5)
    ]
    draw_curves(history, tmp_path / "curves.png", "T2TViT7 on digits")
    drawn = Image.open(tmp_path / "curves.png").convert("RGB")
    colours = {colour for _, colour in drawn.getcolors(maxcolors=2**20)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # training and validation
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_wandb_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr("keras_t2t.training.recording._installed", lambda name: False)
    with pytest.raises(ImportError, match=r"needs wandb.*pip install wandb"):
        wandb_logger("project", Path("run"), {})


def test_wandb_gets_project_and_config(monkeypatch, tmp_path):
    """Against a stand-in with wandb's names; wandb itself needs an account."""
    begun = {}
    wandb = types.ModuleType("wandb")
    logged = []
    wandb.log = logged.append
    wandb.init = lambda **arguments: begun.update(arguments)
    integration = types.ModuleType("wandb.integration.keras")

    class WandbMetricsLogger(keras.callbacks.Callback):
        def __init__(self, log_freq):
            super().__init__()
            begun["log_freq"] = log_freq

        def on_epoch_end(self, epoch, logs=None):
            logged.append(epoch)

    integration.WandbMetricsLogger = WandbMetricsLogger
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "wandb.integration", types.ModuleType("x"))
    monkeypatch.setitem(sys.modules, "wandb.integration.keras", integration)
    monkeypatch.setattr("keras_t2t.training.recording._installed", lambda name: True)
    record = {"epochs": 3, "run": "0a1b"}
    logger = wandb_logger("t2t", tmp_path / "run-1", record)
    assert isinstance(logger, WandbMetricsLogger)
    assert begun == {
        "project": "t2t",
        "dir": str(tmp_path / "run-1"),
        "name": "run-1",
        "config": record,
        **{"id": "0a1b", "resume": "allow"},  # --resume goes on in the same run
        "log_freq": "epoch",
    }
    logger.on_epoch_end(0, {})
    log_to_wandb(7, 1.5)
    assert logged == [1, {"step": 7, "step_loss": 1.5}]  # epochs count from 1
