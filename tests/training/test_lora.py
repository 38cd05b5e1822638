"""Fine-tuning with LoRA: what is trained, what a run leaves, and how it goes on."""

import json

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.training import TrainingConfig
from tests.training.conftest import weights
from tests.training.test_resuming import Killed, compare, kill_at

LORA = {"lora": 2, "epochs": 2, "learning_rate": 0.01, "snapshot_every": 2}


def outputs(model):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    return keras.ops.convert_to_numpy(model(pixels.astype("float32")))


def test_killed_it_goes_on_to_an_ordinary_model(source, tiny_run, tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    tiny_run(drop=0.2, weights=source, output_dir=str(whole), **LORA)
    assert "training adapters of rank 2 and the head" in capsys.readouterr().out
    with pytest.raises(Killed):
        tiny_run(drop=0.2, on_step=kill_at(7), weights=source, **LORA)
    tiny_run(drop=0.2, resume=True, weights=source, **LORA)
    compare(run, whole)

    # Merged, in all that the run leaves, and only what has adapters is another.
    before, after = weights(source), weights(run)
    assert before.keys() == after.keys()
    for path, array in before.items():
        adapts = path.startswith("block_0_") and path.endswith("kernel")
        trains = (adapts and "norm" not in path) or path.startswith("head")
        assert np.array_equal(array, after[path]) != trains, path
    expected = probabilities(keras_t2t.load(run))
    model = keras_t2t.load(source)
    keras_t2t.load_adapters(model, run / "adapters.lora.h5")
    # float32: a product is added to the kernel and not to the output
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)
    assert (run / "adapters.lora.h5").stat().st_size < 40_000


def probabilities(model):
    """What the source gives, of a run's model, which gives logits."""
    return keras.ops.convert_to_numpy(keras.ops.softmax(outputs(model)))


@pytest.mark.once
def test_the_best_adapters_stay(source, tiny_run, tmp_path, monkeypatch):
    """Where patience takes the weights of an earlier epoch."""
    from keras_t2t.training import evaluation

    scores = iter([0.9, 0.1, 0.1, 0.1])

    def evaluate(run, model):
        return {"loss": 1.0, "top1": next(scores, 0.1), "top5": 1.0}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    settings = {**LORA, "epochs": 4, "patience": 1, "ema_decay": 0.0}
    tiny_run(weights=source, **settings)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text())["result"]["epochs"] == 2
    model = keras_t2t.load(source)
    keras_t2t.load_adapters(model, run / "adapters.lora.h5")
    expected = probabilities(keras_t2t.load(run))
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)
    keras_t2t.load_checkpoint(model, run / "best.weights.h5")
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.once
def test_settings():
    filled = TrainingConfig(weights="imagenet", lora=8, recipe="small_set")
    filled = filled.with_defaults("x", 4)
    assert filled.optimizer == "adamw"
    assert filled.layer_decay == filled.backbone_rate == 1
    assert TrainingConfig(weights="imagenet").with_defaults("cifar10", 10).lora == 0
    for settings in ({"lora": 8}, {"weights": "x", "lora": 8, "linear_probe": True}):
        with pytest.raises(ValueError, match=r"lora needs .* got lora=8"):
            TrainingConfig(**settings).with_defaults("x", 4)
    with pytest.raises(ValueError, match=r"lora must be an integer at least 0"):
        TrainingConfig(lora=-1)
