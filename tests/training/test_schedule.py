"""The learning rate over a run."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.training.schedule import WarmupCosineCooldown

IMAGENET = {"epochs": 310, "warmup_epochs": 10, "cooldown_epochs": 10}


def rate(schedule, step):
    return float(ops.convert_to_numpy(schedule(step)))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 1e-6),
        (5, 1e-6 + 5 / 10 * (5e-4 - 1e-6)),
        (9, 1e-6 + 9 / 10 * (5e-4 - 1e-6)),
        (10, 1e-5 + (5e-4 - 1e-5) * (1 + math.cos(math.pi * 10 / 300)) / 2),
        (155, 1e-5 + (5e-4 - 1e-5) * (1 + math.cos(math.pi * 155 / 300)) / 2),
        (299, 1e-5 + (5e-4 - 1e-5) * (1 + math.cos(math.pi * 299 / 300)) / 2),
        (300, 1e-5),
        (305, 1e-5),
    ],
)
def test_the_authors_rate_per_epoch(epoch, expected):
    """All steps of an epoch have one rate, at ImageNet's 2,502 steps."""
    schedule = WarmupCosineCooldown(5e-4, steps_per_epoch=2502, **IMAGENET)
    for step in (0, 1, 2501):
        # float32: the cosine's end is near 1e-5
        assert rate(schedule, epoch * 2502 + step) == pytest.approx(expected, rel=2e-4)


def test_per_step_it_rises_within_an_epoch():
    schedule = WarmupCosineCooldown(1.0, 8, 10, warmup_epochs=1, changes="step")
    assert rate(schedule, 5) == pytest.approx(0.5, rel=1e-5)
    middle = 1e-5 + (1 - 1e-5) * (1 + math.cos(math.pi * 15 / 80)) / 2
    assert rate(schedule, 15) == pytest.approx(middle, rel=1e-5)


def test_without_warmup_it_starts_at_the_peak():
    assert rate(WarmupCosineCooldown(0.5, 4, 10), 0) == 0.5


def test_a_low_peak_is_never_exceeded():
    schedule = WarmupCosineCooldown(2e-7, 4, 10, warmup_epochs=1, cooldown_epochs=1)
    rates = [rate(schedule, step) for step in range(40)]
    assert max(rates) <= 2.0001e-7


def test_it_survives_its_config():
    schedule = WarmupCosineCooldown(5e-4, steps_per_epoch=7, **IMAGENET)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    steps = range(0, 2170, 100)
    np.testing.assert_array_equal(
        [rate(again, step) for step in steps], [rate(schedule, step) for step in steps]
    )
