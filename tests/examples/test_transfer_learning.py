"""`examples/transfer_learning.py` as its users call it."""

import functools
import json

import numpy as np
import pytest
import torch

from tests.checkpoints import helpers
from tests.examples.small_run import SIZE, build, random_model, write_run

SHORT = ["--batch-size=4", "--steps-per-epoch=2", "--epochs=1"]


@pytest.fixture
def script(monkeypatch, tmp_path, success):
    """What the script prints, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return functools.partial(success, "transfer_learning.py")


@pytest.mark.nightly_elsewhere
def test_a_run_is_probed_on_digits(script, tmp_path, monkeypatch):
    write_run(tmp_path / "source", list("abc"))
    random_model(classes=3).save(tmp_path / "source" / "final.keras")
    for module in ("training.compiled_model", "classifier"):
        monkeypatch.setattr(f"keras_t2t.{module}.builder", lambda name: build)
    out = script("--weights", "source", "--dataset", "digits", "--linear-probe", *SHORT)
    result = json.loads(out.splitlines()[-1])
    assert (result["model"], result["dataset"]) == ("T2TViT7", "digits")
    record = json.loads((tmp_path / result["output_dir"] / "config.json").read_text())
    assert (record["linear_probe"], record["image_size"]) == (True, SIZE)


@pytest.mark.nightly
def test_a_checkpoint_is_probed_on_digits(script, tmp_path):
    """From another size and class count, and an average beside the raw weights."""
    average = helpers.random_oracle("T2TViT7", (64, 64), classes=12).state_dict()
    raw = {name: value + 1 for name, value in average.items()}
    torch.save({"state_dict": raw, "state_dict_ema": average}, tmp_path / "x.pth")
    out = script(
        *("--weights", "x.pth", "--dataset", "digits", "--image-size", "32", *SHORT),
        *("--linear-probe", "--output", "run"),
    )
    assert json.loads(out.splitlines()[-1])["model"] == "T2TViT7"
    final = tmp_path / "run" / "final.keras"
    probed = helpers.build("T2TViT7", (32, 32), weights=final)
    class_token = probed.get_layer("class_token").class_token.numpy()
    np.testing.assert_array_equal(class_token, average["cls_token"])
