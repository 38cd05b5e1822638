"""Callbacks run at every step; the device is waited for only now and then."""

import keras

from keras_t2t.training import steps as module
from keras_t2t.training.steps import Progress, Steps


def run(losses, progress, needs_metrics=lambda step: False):
    """What a callback gets at each step."""
    batches = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append((batch, logs))
    )
    settings = {"not_finite": None, "model": None, "verbose": 0, "epochs": 1}
    steps = Steps(progress, [seen], needs_metrics, **settings)
    steps.on_epoch_begin(0)
    for batch, loss in enumerate(losses):
        steps.on_train_batch_end(batch, {"loss": loss})
    return batches


def test_metrics_are_read_at_the_ends_and_when_needed(monkeypatch):
    """The clock stands still."""
    read, number = [], module._number
    monkeypatch.setattr(module, "_number", lambda x: read.append(x) or number(x))
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    losses = [0.1 * step for step in range(1, 11)]
    batches = run(losses, Progress(1, 10), needs_metrics=lambda step: step == 4)
    assert [batch for batch, _ in batches] == list(range(10))
    assert [batch for batch, logs in batches if logs] == [0, 3, 9]
    assert read == [losses[0], losses[3], losses[9]]


def test_after_a_resume_batches_are_counted_from_the_middle():
    batches = run([1.0, 1.0], Progress(1, 10, step=6))
    assert [batch for batch, _ in batches] == [6, 7]
