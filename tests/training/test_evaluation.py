"""Validation: every image once, the dominant label under soft targets."""

from unittest import mock

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from keras_t2t.data.dataset import Validation
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.training.compiled_model import compiled_model
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.evaluation import evaluate, last_rate
from tests.training import tiny

CONFIG = TrainingConfig(image_size=32, batch_size=4, steps_per_epoch=5)
CONFIG = CONFIG.with_defaults("digits", 4)


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr("keras_t2t.training.compiled_model.builder", tiny.build(0.0))
    return compiled_model(CONFIG, tiny.TinyData())


def test_padding_does_not_count(model):
    """10 images in batches of 4, against NumPy; what a regularizer adds counts once."""
    kernel = model.get_layer("head").kernel
    kernel.regularizer = keras.regularizers.L2(0.5)
    penalty = 0.5 * (keras.ops.convert_to_numpy(kernel) ** 2).sum()
    assert penalty > 1e-3
    run = mock.Mock(dataset=tiny.TinyData(), config=CONFIG, devices=Devices())
    run.stop.asked.return_value = 0
    logs = evaluate(run, model)
    moved = run.bar.validated.call_args_list
    assert moved == [mock.call(1, 3), mock.call(2, 3), mock.call(3, 3)]

    batches = tiny.TinyBatches(Validation(32, 4), count=10)
    images, labels = (
        np.concatenate([batches[i][part] for i in range(3)])[:10] for part in (0, 1)
    )
    logits = model.predict(images, verbose=0)
    losses = -((0.9 * labels + 0.1 / 4) * log_softmax(logits, axis=1)).sum(axis=1)
    assert logs["loss"] == pytest.approx(losses.mean() + penalty, rel=1e-5)
    right = logits.argmax(1) == labels.argmax(1)
    assert logs["top1"] == pytest.approx(right.mean(), abs=1e-6)
    assert logs["top5"] == 1.0  # of four classes


@pytest.mark.once
def test_the_rate_is_of_the_last_step_that_counts():
    """In float16 a step whose gradients overflow does not."""
    rates = keras.optimizers.schedules.PolynomialDecay(1.0, 4, end_learning_rate=0.0)
    optimizer = keras.optimizers.SGD(rates, gradient_accumulation_steps=2)
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    weight = keras.Variable([0.0])
    optimizer.build([weight])
    assert last_rate(optimizer) == 1.0  # none has counted
    for gradient in (1.0, 1.0, np.inf):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
    assert last_rate(optimizer) == 0.75


def test_under_mixup_the_dominant_label_counts(model):
    images = np.zeros((4, 32, 32, 3), "uint8")
    best = int(model.predict(images[:1], verbose=0).argmax())
    mixed = np.zeros((4, 4), "float32")
    mixed[:, best] = [0.7, 0.6, 0.4, 0.1]
    mixed[:, best - 1] = [0.3, 0.4, 0.6, 0.9]
    logs = model.evaluate(images, mixed, verbose=0, return_dict=True)
    assert logs["top1"] == 0.5
