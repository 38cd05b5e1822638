"""A run that no longer improves ends early, with its best weights."""

import dataclasses

import keras
import pytest

from keras_t2t.training.progress import Progress
from tests.training.conftest import assert_close, history


def test_where_it_stalls():
    progress = Progress(10, 5, patience=2)
    for score, stalled in ((0.5, False), (0.7, False), (0.7, False), (0.6, True)):
        progress.history.append({"val_top1": score})
        assert progress.stalled == progress.finished == stalled
    assert progress.best_epoch == 1
    assert not dataclasses.replace(progress, patience=0).stalled


@pytest.mark.nightly_elsewhere
def test_a_run_ends_early_with_its_best_weights(tiny_run, tmp_path):
    """And a resumed one where it would have ended."""
    settings = {"patience": 1, "epochs": 8, "learning_rate": 0.2}
    result = tiny_run(**settings)
    assert result["epochs"] < 8
    scores = [row["val_top1"] for row in history(tmp_path / "run")]
    assert len(scores) == result["epochs"]
    assert result["val_top1"] == pytest.approx(max(scores))
    final = keras.saving.load_model(tmp_path / "run" / "final.keras")
    best = keras.models.clone_model(final)
    best.load_weights(tmp_path / "run" / "best.weights.h5")
    assert_close(final.get_weights(), best.get_weights())
    assert tiny_run(**settings, resume=True) == result
