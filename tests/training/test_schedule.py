"""The learning rate over a run."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.training.schedule import WarmupCosineCooldown

IMAGENET = {"epochs": 310, "warmup_epochs": 10, "cooldown_epochs": 10}


def rates(schedule, steps):
    return ops.convert_to_numpy(schedule(np.asarray(steps)))


def cosine(share, peak, final=1e-5):
    """The rate after a share of the run."""
    return final + (peak - final) * (1 + np.cos(np.pi * share)) / 2


def test_the_authors_rate_per_epoch():
    """All steps of an epoch have one rate, at ImageNet's 2,502 steps."""
    schedule = WarmupCosineCooldown(5e-4, steps_per_epoch=2502, **IMAGENET)
    epochs = np.arange(310)
    expected = cosine(epochs / 300, 5e-4)
    expected[:10] = 1e-6 + epochs[:10] / 10 * (5e-4 - 1e-6)
    expected[300:] = 1e-5
    for step in (0, 1, 2501):
        found = rates(schedule, epochs * 2502 + step)
        # float32: the cosine's end is near 1e-5
        np.testing.assert_allclose(found, expected, rtol=2e-4)


@pytest.mark.parametrize("steps_per_epoch", [41, 47])
def test_compiled_too_all_steps_of_an_epoch_have_one_rate(steps_per_epoch):
    """XLA multiplies by 1 / 41, and 41 times that is a little less than one."""
    schedule = WarmupCosineCooldown(1.0, 100, steps_per_epoch)
    step = keras.Input((), dtype="int32")
    model = keras.Model(step, keras.layers.Lambda(schedule)(step))
    steps = np.arange(100 * steps_per_epoch, dtype="int32")
    found = model.predict(steps, batch_size=len(steps), verbose=0)
    expected = np.repeat(cosine(np.arange(100) / 100, 1.0), steps_per_epoch)
    # float32; two epochs differ by 2e-4 or more
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_per_step_it_rises_within_an_epoch():
    schedule = WarmupCosineCooldown(1.0, 8, 10, warmup_epochs=1, changes="step")
    expected = [0.5, cosine(15 / 80, 1.0)]
    np.testing.assert_allclose(rates(schedule, [5, 15]), expected, rtol=1e-5)


def test_a_low_peak_is_never_exceeded():
    schedule = WarmupCosineCooldown(2e-7, 4, 10, warmup_epochs=1, cooldown_epochs=1)
    assert rates(schedule, range(40)).max() <= 2.0001e-7


def test_it_survives_its_config():
    schedule = WarmupCosineCooldown(5e-4, steps_per_epoch=7, **IMAGENET)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert vars(again) == vars(schedule)
