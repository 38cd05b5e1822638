"""Learning from a teacher: the loss, what is trained, what a run leaves and goes on."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax, rel_entr, softmax

import keras_t2t
from keras_t2t.training import teaching
from tests.training.conftest import assert_close
from tests.training.test_accuracy import data
from tests.training.test_resuming import Killed, compare, kill_at

pytestmark = pytest.mark.once

SMALL = {"embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2, "classes": 4}
SMALL |= {"input_shape": (32, 48, 3), "classifier_activation": None}


def taught_model(labels):
    """A student, its teacher, and the two as one model."""
    model = keras_t2t.T2TViT(**SMALL, token_labelling=labels, token_dropout=0.0)
    teacher = keras_t2t.ViT(**SMALL)
    seen = teaching.logits_on_grid(teacher, (2, 3) if labels else None)
    return model, teacher, teaching.TaughtModel(model, seen, weight=0.5)


def pixels(count):
    shape = (count, *SMALL["input_shape"])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numbers(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("labels", [True, False])
def test_the_loss(labels):
    """Cross entropy of the class token, and half the teacher's divergence."""
    model, teacher, taught = taught_model(labels)
    for weight in (*model.weights, *teacher.weights):  # far enough from uniform
        weight.assign(ops.multiply(weight, 5.0))
    taught.compile("sgd", keras.losses.CategoricalCrossentropy(True))
    x, y = pixels(2), np.eye(4, dtype="float32")[[1, 3]]
    outputs = taught(x, training=True)
    loss = float(taught.compute_loss(x, y, outputs, training=True))

    classes, target = numbers(outputs["classes"]), numbers(teacher(x))
    learned = classes
    if labels:
        learned = numbers(outputs["tokens"])
        assert learned.shape == (2, 6, 4)
        target = np.repeat(target[:, None], 6, axis=1)
    divergences = rel_entr(softmax(target, axis=-1), softmax(learned, axis=-1))
    share = divergences.sum(-1).mean()
    assert share > 0.01
    expected = -(log_softmax(classes, axis=-1) * y).sum(-1).mean()
    assert loss == pytest.approx(expected + 0.5 * share, rel=1e-4)
    assert float(taught.compute_loss(x, y, outputs, ops.zeros(2), True)) == 0
    # In inference it is the student.
    np.testing.assert_allclose(numbers(taught(x)), numbers(model(x)), atol=1e-6)


def test_a_teacher_with_token_labels_teaches_its_answer():
    """Which its tokens are only a part of."""
    model, *_ = taught_model(labels=True)
    for weight in model.get_layer("head").weights:
        weight.assign(ops.add(weight, 1.0))
    x = pixels(2)
    answer = numbers(teaching.logits_on_grid(model)(x)).mean((1, 2))
    np.testing.assert_allclose(answer, numbers(model(x)), rtol=1e-5)


@pytest.mark.nightly_elsewhere
def test_a_step_trains_the_student_alone():
    model, teacher, taught = taught_model(labels=True)
    loss = keras.losses.CategoricalCrossentropy(True)
    taught.compile(keras.optimizers.SGD(0.1), loss, weighted_metrics=["accuracy"])
    before, head = teacher.get_weights(), model.get_layer("aux_head").get_weights()
    x, y = pixels(8), np.eye(4, dtype="float32")[[0, 1, 2, 3] * 2]
    history = taught.fit(x, y, batch_size=8, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert_close(teacher.get_weights(), before)
    assert not np.array_equal(model.get_layer("aux_head").get_weights()[0], head[0])


@pytest.mark.nightly
@pytest.mark.parametrize(("of_keras", "most"), [(True, 255), (False, 1)])
def test_what_a_resnet_sees_at_each_place(monkeypatch, of_keras, most):
    shape = (64, 96, 3)
    original = keras.applications.ResNet50

    def without_network(weights, **arguments):
        assert weights == "imagenet"
        return original(weights=None, **arguments)

    if of_keras:
        monkeypatch.setattr(keras.applications, "ResNet50", without_network)
        model = teaching.teacher_model("ResNet50", shape)
    else:
        model = keras_t2t.ResNet50(input_shape=shape, classes=4)
    x = np.random.default_rng(0).uniform(0, most, (1, *shape)).astype("float32")
    grid = numbers(teaching.logits_on_grid(model)(x))
    assert grid.shape == (1, 2, 3, 1000 if of_keras else 4)
    # The head is linear: that of the whole image is the mean over the places.
    whole = softmax(grid.mean((1, 2)), axis=-1)
    np.testing.assert_allclose(numbers(model(x)), whole, rtol=1e-3, atol=1e-6)
    larger = numbers(teaching.logits_on_grid(model, (4, 6))(x))
    assert larger.shape[1:3] == (4, 6)
    rounding = 1e-5 * np.abs(grid).max()
    assert larger.min() >= grid.min() - rounding
    assert larger.max() <= grid.max() + rounding


@pytest.fixture
def teacher_run(tiny_run, tmp_path):
    """A finished run on the tiny data."""
    return tiny_run(epochs=1, output_dir=str(tmp_path / "teacher"))["output_dir"]


@pytest.mark.parametrize(
    "labels", [True, pytest.param(False, marks=pytest.mark.nightly)]
)
@pytest.mark.nightly_elsewhere
def test_a_taught_run_goes_on_after_a_kill(teacher_run, tiny_run, tmp_path, labels):
    settings = {"teacher": teacher_run, "epochs": 2, "token_labelling": labels}
    tiny_run(**settings, output_dir=str(tmp_path / "whole"))
    with pytest.raises(Killed):
        tiny_run(**settings, on_step=kill_at(7), snapshot_every=2)
    tiny_run(**settings, resume=True)
    compare(tmp_path / "run", tmp_path / "whole")
    # The teacher is not in the file.
    saved = keras.models.load_model(tmp_path / "whole" / "final.keras")
    names = {"teacher", "aux_head"} & {layer.name for layer in saved.layers}
    assert names == ({"aux_head"} if labels else set())


def test_a_teacher_of_other_classes(teacher_run):
    teaching.check_teacher(teacher_run, data(*"abcd"))
    for teacher, classes, message in (
        (teacher_run, "ab", "'flowers' has 2 classes, and '.*' has 4"),
        (teacher_run, "dcba", "class 0 is 'd' in the data and 'a' in the weights"),
        ("nosuch", "ab", "teacher='nosuch': .*is no file or run"),
        ("ResNet50", "ab", "'ResNet50' has 1000"),
    ):
        with pytest.raises(ValueError, match=message):
            teaching.check_teacher(teacher, data(*classes))
