"""The recipe of DeiT III: its row, LAMB, binary cross entropy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.training import TrainingConfig
from keras_t2t.training.compiled_model import recipe_loss, recipe_optimizer
from keras_t2t.training.losses import BinaryCrossentropy
from keras_t2t.training.optimizer import Lamb, lamb
from tests.training.test_optimizer import apply, random_gradients, small_model


def test_the_recipe_of_deit_iii():
    """README_revenge.md of DeiT, the first command: eight times 256 images a step."""
    config = TrainingConfig(model="T2TViT19", recipe="modern")
    config = config.with_defaults("imagenet2012", 1000)
    assert (config.model, config.epochs, config.batch_size) == ("T2TViT19", 800, 2048)
    assert (config.learning_rate, config.final_learning_rate) == (4e-3, 1e-5)
    assert (config.weight_decay, config.warmup_epochs) == (0.05, 5)
    assert (config.optimizer, config.loss) == ("lamb", "binary_crossentropy")
    assert (config.mixup, config.cutmix, config.random_erasing) == (0.8, 1, 0)
    assert (config.drop_path, config.label_smoothing) == (0.05, 0)
    assert config.augmentation == "three" and not config.randaugment
    digits = TrainingConfig(recipe="modern").with_defaults("digits", 10)
    assert digits.augmentation == "none"


def test_the_settings_reach_loss_and_optimizer():
    settings = {"label_smoothing": 0.2, "weight_decay": 0.3, "steps_per_epoch": 10}
    config = TrainingConfig(recipe="modern", **settings)
    config = config.with_defaults("imagenet2012", 1000)
    loss = recipe_loss(config, None)
    assert isinstance(loss, BinaryCrossentropy) and loss.label_smoothing == 0.2
    optimizer = recipe_optimizer(small_model(), config)
    assert isinstance(optimizer, Lamb) and optimizer.weight_decay == 0.3
    assert optimizer.global_clipnorm == 1.0 and not optimizer.use_ema


def test_lamb_equals_a_numpy_loop():
    """You et al., algorithm 2, in float64: the kernel decays and has a trust ratio."""
    model = small_model()
    optimizer = lamb(model, 0.02, 0.3)
    weights = [w.numpy().astype("float64") for w in model.trainable_weights]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for t, gradients in enumerate(random_gradients(4), start=1):
        for i, g in enumerate(gradients):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g.astype("float64") ** 2
            u = m[i] / (1 - 0.9**t) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
            if weights[i].ndim == 2:
                u = u + 0.3 * weights[i]
                u = u * np.linalg.norm(weights[i]) / np.linalg.norm(u)
            weights[i] = weights[i] - 0.02 * u
        found = apply(model, optimizer, gradients)
        for ours, expected in zip(found, weights, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    assert isinstance(optimizer, keras.optimizers.Lamb)


def test_weights_of_zeros_take_adam_s_step():
    model = small_model()
    for weight in model.trainable_weights:
        weight.assign(ops.zeros(weight.shape))
    ones = [np.ones((4, 3), "float32"), np.ones(3, "float32")]
    for weight in apply(model, lamb(model, 0.02, 0.3), ones):
        np.testing.assert_allclose(weight, -0.02, rtol=1e-4)


def test_both_classes_of_a_mixed_image_are_there():
    logits = np.random.default_rng(0).normal(0, 4, (3, 5)).astype("float32")
    targets = np.array([[0.3, 0.7, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1e-4, 0.9999]])
    there = targets > 0
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    expected = -np.where(there, np.log(p), np.log(1 - p)).mean(axis=-1)
    loss = BinaryCrossentropy(reduction=None)(targets.astype("float32"), logits)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), expected, rtol=1e-5)
    smooth = there * 0.8 + 0.1
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(axis=-1)
    loss = BinaryCrossentropy(0.2, reduction=None)(targets.astype("float32"), logits)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("one", "value", "other", "excluded"),
    [
        ("optimizer", "lamb", "layer_decay", 0.5),
        ("class_weights", "balanced", "loss", "binary_crossentropy"),
    ],
)
def test_what_does_not_go_together(one, value, other, excluded):
    config = TrainingConfig(**{one: value, other: excluded})
    with pytest.raises(ValueError, match=f"{one}='{value}'.*{other}="):
        config.with_defaults("imagenet2012", 1000)
