"""Learning from a teacher: the loss, what is trained, what a run leaves and goes on."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.training import TrainingConfig
from keras_t2t.training.teaching import (
    TaughtModel,
    check_teacher,
    logits_on_grid,
    teacher_model,
)
from tests.training.test_accuracy import Data
from tests.training.test_resuming import Killed, compare, kill_at

SMALL = {"embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2, "classes": 4}
SHAPE = (32, 48, 3)


def student(**kwargs):
    settings = {"classifier_activation": None, "token_dropout": 0.0, **kwargs}
    return keras_t2t.T2TViT(**SMALL, input_shape=SHAPE, **settings)


def pixels(count=2):
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype("float32")


def divergence(teacher, learner):
    """Mean of sum p log(p/q), in float64."""

    p, q = logarithms(teacher), logarithms(learner)
    return (np.exp(p) * (p - q)).sum(-1).mean()


def logarithms(logits):
    """Those of the probabilities."""
    logits = ops.convert_to_numpy(logits).astype("float64")
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("labels", [True, False])
def test_the_loss(labels):
    """Cross entropy of the class token, and half the teacher's divergence."""
    model = student(token_labelling=labels)
    teacher = keras_t2t.ViT(**SMALL, input_shape=SHAPE, classifier_activation=None)
    for weight in (*model.weights, *teacher.weights):  # far enough from uniform
        weight.assign(ops.multiply(weight, 5.0))
    seen = logits_on_grid(teacher, (2, 3) if labels else None)
    taught = TaughtModel(model, seen, weight=0.5)
    taught.compile("sgd", keras.losses.CategoricalCrossentropy(True))
    x, y = pixels(), np.eye(4, dtype="float32")[[1, 3]]
    outputs = taught(x, training=True)
    loss = float(taught.compute_loss(x, y, outputs, training=True))

    expected = -(logarithms(outputs["classes"]) * y).sum(-1).mean()
    whole = ops.convert_to_numpy(teacher(x))
    if labels:
        assert outputs["tokens"].shape == (2, 6, 4)
        learned, target = outputs["tokens"], np.repeat(whole[:, None], 6, axis=1)
    else:
        learned, target = outputs["classes"], whole
    share = divergence(target, learned)
    assert share > 0.01
    assert loss == pytest.approx(expected + 0.5 * share, rel=1e-4)
    # In inference it is the student.
    found, expected = map(ops.convert_to_numpy, (taught(x), model(x)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.nightly_elsewhere
def test_a_step_trains_the_student_alone():
    model = student(token_labelling=True)
    teacher = keras_t2t.ViT(**SMALL, input_shape=SHAPE, classifier_activation=None)
    taught = TaughtModel(model, logits_on_grid(teacher, (2, 3)), weight=0.5)
    taught.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.CategoricalCrossentropy(True),
        weighted_metrics=["accuracy"],
    )
    before = [np.array(w) for w in teacher.get_weights()]
    head = np.array(model.get_layer("aux_head").kernel)
    x, y = pixels(8), np.eye(4, dtype="float32")[[0, 1, 2, 3] * 2]
    history = taught.fit(x, y, batch_size=8, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(head, model.get_layer("aux_head").kernel)


@pytest.mark.once
@pytest.mark.nightly
def test_what_a_resnet_sees_at_each_place():
    model = keras_t2t.ResNet50(
        input_shape=(64, 96, 3), classes=4, classifier_activation=None
    )
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    grid = ops.convert_to_numpy(logits_on_grid(model)(x))
    assert grid.shape == (1, 2, 3, 4)
    # The head is linear: its mean over the places is the head of the mean.
    np.testing.assert_allclose(
        grid.mean((1, 2)), ops.convert_to_numpy(model(x)), rtol=1e-3, atol=1e-4
    )
    larger = ops.convert_to_numpy(logits_on_grid(model, (4, 6))(x))
    assert larger.shape == (1, 4, 6, 4)
    assert larger.min() >= grid.min() - 1e-5 and larger.max() <= grid.max() + 1e-5


@pytest.mark.once
@pytest.mark.nightly
def test_keras_s_own_resnet(monkeypatch):
    """All but its weights, which are fetched."""
    original = keras.applications.ResNet50

    def without_network(weights, **arguments):
        assert weights == "imagenet"
        return original(weights=None, **arguments)

    monkeypatch.setattr(keras.applications, "ResNet50", without_network)
    model = teacher_model("ResNet50", (64, 96, 3))
    x = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3)).astype("float32")
    grid = ops.convert_to_numpy(logits_on_grid(model)(x))
    assert grid.shape == (1, 2, 3, 1000)
    # Its own softmax is of the mean over the places.
    expected = np.exp(logarithms(grid.mean((1, 2))))
    found = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.fixture
def teacher_run(tiny_run, tmp_path):
    """A finished run on the tiny data."""
    tiny_run(epochs=1, output_dir=str(tmp_path / "teacher"))
    return str(tmp_path / "teacher")


@pytest.mark.parametrize(
    "labels", [True, pytest.param(False, marks=pytest.mark.nightly)]
)
@pytest.mark.nightly_elsewhere
def test_a_taught_run_goes_on_after_a_kill(teacher_run, tiny_run, tmp_path, labels):
    settings = {"teacher": teacher_run, "epochs": 2, "token_labelling": labels}
    whole = tiny_run(**settings, output_dir=str(tmp_path / "whole"))
    assert 0 <= whole["val_top1"] <= 1
    with pytest.raises(Killed):
        tiny_run(**settings, on_step=kill_at(7), snapshot_every=2)
    tiny_run(**settings, resume=True)
    compare(tmp_path / "run", tmp_path / "whole")
    # The teacher is not in the file.
    saved = keras.models.load_model(tmp_path / "whole" / "final.keras")
    names = {layer.name for layer in saved.layers}
    assert "teacher" not in names
    assert ("aux_head" in names) is labels


@pytest.mark.once
def test_a_teacher_of_other_classes(teacher_run):
    check_teacher(teacher_run, Data(*"abcd"))
    for teacher, classes, message in (
        (teacher_run, "ab", "'flowers' has 2 classes, and '.*' has 4"),
        (teacher_run, "dcba", "class 0 is 'd' in the data and 'a' in the weights"),
        ("nosuch", "ab", "teacher='nosuch': .*is no file or run"),
        ("ResNet50", "ab", "'ResNet50' has 1000"),
    ):
        with pytest.raises(ValueError, match=message):
            check_teacher(teacher, Data(*classes))


@pytest.mark.once
def test_settings():
    config = TrainingConfig(teacher="ResNet50").with_defaults("imagenet2012", 1000)
    assert config.teacher_weight == 0.5
    assert TrainingConfig().with_defaults("digits", 10).teacher_weight is None
    with pytest.raises(ValueError, match=r"needs a teacher; got teacher_weight=0\.3"):
        TrainingConfig(teacher_weight=0.3).with_defaults("digits", 10)
    with pytest.raises(ValueError, match="teacher_weight must be greater than 0"):
        TrainingConfig(teacher="run", teacher_weight=0)
