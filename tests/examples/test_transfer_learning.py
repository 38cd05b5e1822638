"""`examples/transfer_learning.py` as its users call it."""

import json

import numpy as np
import pytest
import torch

from tests.checkpoints import helpers
from tests.examples.small_run import SIZE, build, random_model, write_run


@pytest.fixture
def probed(monkeypatch, tmp_path, success):
    """Function: flags -> the script's result, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    words = ("--dataset=digits", "--linear-probe", "--batch-size=4")
    words = (*words, "--steps-per-epoch=2", "--epochs=1", "--output=run")

    def probed(*flags):
        out = success("transfer_learning.py", *words, *flags)
        return json.loads(out.splitlines()[-1])

    return probed


@pytest.mark.nightly_elsewhere
def test_a_run_is_probed_on_digits(probed, tmp_path, monkeypatch):
    write_run(tmp_path / "source", list("abc"))
    random_model(classes=3).save(tmp_path / "source" / "final.keras")
    for module in ("training.compiled_model", "classifier"):
        monkeypatch.setattr(f"keras_t2t.{module}.builder", lambda name: build)
    result = probed("--weights", "source")
    assert (result["model"], result["dataset"]) == ("T2TViT7", "digits")
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (record["linear_probe"], record["image_size"]) == (True, SIZE)


@pytest.mark.nightly
def test_a_checkpoint_is_probed_on_digits(probed, tmp_path):
    """From another size and class count, and an average beside the raw weights."""
    average = helpers.random_oracle("T2TViT7", (64, 64), classes=12).state_dict()
    raw = {name: value + 1 for name, value in average.items()}
    torch.save({"state_dict": raw, "state_dict_ema": average}, tmp_path / "x.pth")
    result = probed("--weights", "x.pth", "--image-size", "32")
    assert result["model"] == "T2TViT7"
    model = helpers.build("T2TViT7", (32, 32), weights=tmp_path / "run/final.keras")
    class_token = model.get_layer("class_token").class_token.numpy()
    np.testing.assert_array_equal(class_token, average["cls_token"])
