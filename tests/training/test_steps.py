"""Callbacks run at every step; the device is waited for only now and then."""

import keras
import pytest

from keras_t2t.training import steps as module
from keras_t2t.training.steps import Progress, Steps


@pytest.fixture
def counted(monkeypatch):
    """The values that were read from the device; the clock stands still."""
    read = []

    def number(value):
        read.append(value)
        return float(value)

    monkeypatch.setattr(module, "_number", number)
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    return read


def run(losses, progress, needs_metrics=lambda step: False):
    batches = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append((batch, logs))
    )
    steps = Steps(
        progress,
        [seen],
        needs_metrics,
        not_finite=None,
        model=None,
        verbose=0,
        epochs=1,
    )
    steps.on_epoch_begin(0)
    for batch, loss in enumerate(losses):
        steps.on_train_batch_end(batch, {"loss": loss})
    return batches


def test_metrics_are_read_at_the_ends_and_when_needed(counted):
    losses = [0.1 * step for step in range(1, 11)]
    batches = run(losses, Progress(1, 10), needs_metrics=lambda step: step == 4)
    assert [batch for batch, _ in batches] == list(range(10))
    assert [batch for batch, logs in batches if logs] == [0, 3, 9]
    assert counted == [losses[0], losses[3], losses[9]]


def test_after_a_resume_batches_are_counted_from_the_middle(counted):
    batches = run([1.0, 1.0], Progress(1, 10, step=6))
    assert [batch for batch, _ in batches] == [6, 7]
