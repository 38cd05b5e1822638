"""Fine-tuning with LoRA: what is trained, what a run leaves, and how it goes on."""

import shutil

import numpy as np
import pytest
from scipy.special import softmax

import keras_t2t
from keras_t2t.training import evaluation
from tests.examples.small_run import outputs
from tests.training.conftest import weights
from tests.training.test_resuming import Killed, compare, kill_at

LORA = {"lora": 2, "epochs": 2, "learning_rate": 0.01, "snapshot_every": 2}


def test_killed_it_goes_on_to_an_ordinary_model(source, tiny_run, tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    tiny_run(drop=0.2, weights=source, output_dir=str(whole), **LORA)
    assert "training adapters of rank 2 and the head" in capsys.readouterr().out
    with pytest.raises(Killed):
        tiny_run(drop=0.2, on_step=kill_at(7), weights=source, **LORA)
    before, original = weights(source), keras_t2t.load(source)
    shutil.rmtree(source)  # it goes on without
    tiny_run(drop=0.2, resume=True, weights=source, **LORA)
    compare(run, whole)

    # Merged, in all that the run leaves, and only what has adapters is another.
    after = weights(run)
    assert before.keys() == after.keys()
    for path, array in before.items():
        adapts = path.startswith("block_0_") and path.endswith("kernel")
        trains = (adapts and "norm" not in path) or path.startswith("head")
        assert np.array_equal(array, after[path]) != trains, path
    keras_t2t.load_adapters(original, run / "adapters.lora.h5")
    # float32: a product is added to the kernel and not to the output
    expected = probabilities(run)
    np.testing.assert_allclose(outputs(original), expected, rtol=1e-5, atol=1e-5)
    assert (run / "adapters.lora.h5").stat().st_size < 40_000


def probabilities(folder):
    """What the source gives, of a run's model, which gives logits."""
    return softmax(outputs(keras_t2t.load(folder)), axis=-1)


@pytest.mark.once
def test_the_best_adapters_stay(source, tiny_run, tmp_path, monkeypatch):
    """Where patience takes the weights of an earlier epoch, of equal ones the first."""
    scores = iter([0.5, 0.7, 0.7, 0.6])

    def evaluate(run, model):
        return {"loss": 1.0, "top1": next(scores), "top5": 1.0}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    settings = {**LORA, "epochs": 8, "patience": 2, "ema_decay": 0.0}
    assert tiny_run(weights=source, **settings)["epochs"] == 4
    run = tmp_path / "run"
    model = keras_t2t.load(source)
    keras_t2t.load_adapters(model, run / "adapters.lora.h5")
    expected = probabilities(run)
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)
    keras_t2t.load_checkpoint(model, run / "best.weights.h5")
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-5, atol=1e-5)
