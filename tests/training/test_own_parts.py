"""Parts of one's own in a run: model, optimizer, loss, callbacks."""

import contextlib
import functools

import keras
import numpy as np
import pytest

from keras_t2t.classifier import find_classifier, load
from keras_t2t.training import Stopped, TrainingConfig, evaluation
from keras_t2t.training import run as training_run
from keras_t2t.training.compiled_model import compiled_model
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.own import Own
from keras_t2t.training.own_model import check_loss, gives_probabilities
from keras_t2t.training.run import dtype_policy
from tests.training import tiny
from tests.training.conftest import assert_close, history, record, weights
from tests.training.own import OF_DATA, Squares, small_model
from tests.training.test_resuming import SAVE, Killed, kill_at
from tests.training.test_stopping import raise_at

pytestmark = pytest.mark.once


def focal(targets, logits):
    chances = keras.ops.softmax(logits)
    return keras.ops.sum(-targets * (1 - chances) * keras.ops.log(chances), axis=-1)


class Halve(keras.callbacks.Callback):
    """Changes the rate as an epoch begins, as Keras's schedulers do, and at its end."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_train_begin(self, logs=None):
        self.heard.append("begin")

    def on_train_end(self, logs=None):
        self.heard.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 1e-3 / 2**epoch

    def on_train_batch_end(self, batch, logs=None):
        assert logs["loss"] > 0

    def on_epoch_end(self, epoch, logs=None):
        assert 0 <= logs["val_top1"] <= 1
        self.model.optimizer.learning_rate *= 0.9


def parts():
    optimizer = keras.optimizers.Lion(1e-3, weight_decay=0.1, use_ema=True)
    return {"optimizer": optimizer, "loss": focal, "callbacks": [Halve()]}


class Ends(keras.callbacks.Callback):
    """Ends the run with the epoch, at its second step."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 1


@pytest.mark.nightly_elsewhere
def test_killed_and_resumed_it_ends_the_same(train, tmp_path, capsys):
    """To the last bit; killed within an epoch, and right at its end."""

    def run(on_step=None, **settings):
        own = {"model": small_model, "dataset": Squares(), **parts()}
        return train({"dataset": None, **settings}, on_step, **own)

    whole = run(output_dir=str(tmp_path / "whole"))
    told = "Resuming will not restore the callbacks' own state (Halve)\n"
    assert told in capsys.readouterr().out
    assert (whole["model"], whole["dataset"]) == ("small_model", "squares")
    for step in (8, 10):
        with pytest.raises(Killed):
            run(kill_at(step), resume=True, **SAVE)
    result = run(resume=True, **SAVE)
    both = [tmp_path / name for name in ("run", "whole")]
    for row, expected in zip(*map(history, both), strict=True):
        assert row | {"images_per_second": 0} == expected | {"images_per_second": 0}
    for name in ("final.keras", "final_ema.keras"):
        # Each run's model numbers its layers anew.
        assert_close(*(weights(run, name).values() for run in both))
    assert result["val_top1_ema"] == whole["val_top1_ema"]
    rates = [row["learning_rate"] for row in history(tmp_path / "run")]
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4, 1.25e-4])

    recorded = record(tmp_path / "run")
    for name in ("model", "optimizer", "learning_rate", "loss", "exif_orientation"):
        assert recorded[name] is None
    assert recorded["augmentation"] == "none"
    assert recorded["data"]["validation images"] == 11
    own = recorded["own"]
    assert own["model"] == {"function": "small_model"}
    assert own["optimizer"]["class"] == "Lion"
    assert own["optimizer"]["config"]["weight_decay"] == 0.1
    assert own["loss"] == {"function": "focal"}
    assert own["callbacks"] == [{"class": "Halve"}]
    with pytest.raises(ValueError, match=r"\(small_model\), which has no builder"):
        find_classifier(tmp_path / "run")


def test_resuming_needs_the_same_parts(train, tmp_path):
    with pytest.raises(Killed):
        train(SAVE, kill_at(3), **parts())
    began = r"began with optimizer \(Lion\), loss \(focal\), callbacks \(Halve\) of"
    faster = keras.optimizers.Lion(2e-3, weight_decay=0.1)
    for changes, message in (
        ({"optimizer": None, "loss": None, "callbacks": []}, began),
        ({"callbacks": [keras.callbacks.TerminateOnNaN()]}, began),
        ({"model": small_model()}, began),
        ({"optimizer": keras.optimizers.SGD(1e-3)}, "optimizer: class: the run has 'L"),
        ({"optimizer": faster}, "own: optimizer: config: learning_rate: the"),
    ):
        with pytest.raises(ValueError, match=message):
            train({"resume": True}, **{**parts(), **changes})
    given = parts()
    train({"resume": True}, **given)
    (callback,) = given["callbacks"]
    assert callback.heard == ["begin", "end"]  # though `fit` came twice
    recorded = record(tmp_path / "run")
    assert (recorded["model"], recorded["loss"]) == ("T2TViT7", None)
    assert find_classifier(tmp_path / "run").run["own"] == recorded["own"]


def test_a_callback_ends_the_run_with_an_epoch(train, tmp_path):
    """Also if a signal comes between the two."""
    with pytest.raises(Stopped):
        train(SAVE, raise_at(2), callbacks=[Ends()])
    assert train({"resume": True}, callbacks=[Ends()])["epochs"] == 1
    assert (tmp_path / "run" / "final.keras").exists()
    assert not (tmp_path / "run" / "snapshots").exists()


def test_the_average_has_the_statistics_of_its_own_epoch(train, tmp_path, monkeypatch):
    """With patience the raw weights, and theirs, are of another one."""
    scores, last = iter([0.9, 0.9, 0.1, 0.1]), []  # raw and average, of two epochs

    def evaluate(run, model):
        last[:] = [weight.numpy().copy() for weight in model.non_trainable_weights]
        return {"loss": 1.0, "top1": next(scores), "top5": 1.0}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    own = {"optimizer": lambda: keras.optimizers.SGD(0.1, use_ema=True)}
    assert train({"patience": 1}, model=tiny.with_statistics, **own)["epochs"] == 2
    model = load(tmp_path / "run", ema=True)
    assert_close([w.numpy() for w in model.non_trainable_weights], last)


class Unsavable(keras.layers.Identity):
    """Its argument is nothing that Keras can write, and it has no `get_config`."""

    def __init__(self, anything):
        super().__init__()


def ending_in(last):
    """A function that builds the small model with one layer or operation more."""

    def build():
        model = small_model()
        return keras.Model(model.inputs, last(model.output), name="odd")

    return build


probabilities = ending_in(keras.layers.Softmax())
BEST = keras.callbacks.EarlyStopping(restore_best_weights=True)
SWAPS = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
FOCAL = keras.losses.CategoricalFocalCrossentropy()


ACTIVATION = keras.layers.Activation(keras.layers.Softmax())
MEAN = "mean_with_sample_weight"


def logits_loss(reduction="sum_over_batch_size"):
    return keras.losses.CategoricalCrossentropy(True, reduction=reduction)


def nested():
    image = keras.Input((32, 32, 3))
    return keras.Model(image, probabilities()(image))


def several_optimizers():
    several = keras.optimizers.OptimizerMap(keras.optimizers.SGD(1e-3))
    several = keras.optimizers.MultiOptimizer(several)
    return keras.optimizers.LossScaleOptimizer(several)


PROBABILITIES = "gives probabilities, and the loss takes logits"


@pytest.mark.parametrize(
    ("part", "own", "told"),
    [
        ("optimizer", "lion", "optimizer must be .*'lion'"),
        ("callbacks", [print], "callbacks must be Keras callbacks"),
        ("callbacks", [BEST], "restore_best_weights=True .* give patience=N"),
        ("callbacks", [SWAPS], "swap_on_epoch=True"),
        ("callbacks", [keras.callbacks.BackupAndRestore("x")], "resume=True"),
        ("callbacks", [keras.callbacks.ReduceLROnPlateau()], "rate that a schedule"),
        ("model", lambda: 3, "model must be a Keras model .*, got 3"),
        ("model", probabilities, PROBABILITIES),
        ("model", nested, PROBABILITIES),
        ("model", ending_in(keras.ops.softmax), PROBABILITIES),
        ("model", ending_in(ACTIVATION), PROBABILITIES),
        ("model", ending_in(Unsavable(object())), "model: odd cannot be saved: "),
        ("optimizer", several_optimizers, "MultiOptimizer has no single learning"),
        ("loss", logits_loss("none"), "reduction='none' gives no single number"),
        ("loss", logits_loss(MEAN), "loss: reduction='mean_with_sample_weight' counts"),
        ("loss", FOCAL, "Focal.* takes probabilities, .* from_logits=True"),
        ("loss", keras.losses.categorical_crossentropy, "takes probabilities"),
        ("loss", lambda y, x: keras.ops.sum(x), r"one value for each image.*\(\)"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(train, tmp_path, part, own, told):
    with pytest.raises(ValueError, match=told) as error:
        train(**{part: own})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "own", "settings", "told"),
    [
        ("optimizer", keras.optimizers.Lion, {"learning_rate": 0.1}, "is not used"),
        ("model", small_model, {"drop_path": 0.1}, "is not used where model"),
        ("dataset", Squares(), {"mixup": 0.1}, "is not used where dataset"),
        ("dataset", Squares(), {"batch_size": 7}, ": the batches .* 8"),
    ],
)
def test_settings_that_a_part_replaces_are_refused(
    train, part, own, settings, told, tmp_path
):
    [(name, value)] = settings.items()
    with pytest.raises(ValueError, match=f"{name}={value} ?{told}") as error:
        train({**OF_DATA, **settings}, **{"model": small_model, part: own})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_what_a_loss_may_take():
    with pytest.raises(ValueError, match="takes logits, and the model gives prob"):
        check_loss(logits_loss(), probabilities())
    # An attribute of a function is nothing of Keras.
    given = functools.partial(focal)
    given.reduction = "none"
    check_loss(given, small_model())
    # Another output of a nested model may be a softmax.
    inner = small_model()
    image = keras.Input((32, 32, 3))
    both = keras.Model(inner.inputs, [keras.ops.softmax(inner.output), inner.output])
    chances, logits = both(image)
    assert gives_probabilities(keras.Model(image, chances))
    assert not gives_probabilities(keras.Model(image, logits))


def test_a_run_that_fails_after_its_last_step_is_not_told_as_finished(
    train, monkeypatch
):
    def fail(epoch, logs):
        raise OSError("the disk is full")

    told = []
    monkeypatch.setattr(
        training_run, "end_wandb", lambda record, failed: told.append(failed)
    )
    callback = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(OSError, match="full"):
        train({"epochs": 1}, callbacks=[callback])
    train({"epochs": 1, "overwrite": True})
    assert told == [True, False]


@pytest.mark.parametrize("rate", [1e-3, lambda: 1e-3])
def test_a_callback_can_change_a_rate_that_is_a_number(rate):
    own = Own(callbacks=[keras.callbacks.ReduceLROnPlateau()])
    optimizer = keras.optimizers.SGD(rate)
    told = pytest.raises(ValueError, match="ReduceLROnPlateau cannot change the rate")
    with told if callable(rate) else contextlib.nullcontext():
        own.check_rate(optimizer)


def compiled(own, **settings):
    config = TrainingConfig(image_size=32, batch_size=8, **settings)
    config = own.settings_in_use(config.with_defaults("squares", 4, 24))
    return compiled_model(config, tiny.TinyData(), own)


def test_a_built_model_in_float16_has_its_loss_scaled():
    with dtype_policy("mixed_float16"):
        own = Own(model=small_model())
    optimizer = compiled(own).optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    own = Own(own.model, keras.optimizers.SGD(1e-3, loss_scale_factor=8.0))
    assert compiled(own).optimizer.loss_scale_factor == 8


def test_half_precision_must_reach_the_layers():
    """A function that gives layers made outside of it has those of another policy."""
    built = small_model()
    with (
        dtype_policy("mixed_bfloat16"),
        pytest.raises(ValueError, match=r"mixed_precision: no layer of .* com"),
    ):
        Own(model=lambda: built).built_model(32, 4, print)


def test_binary_cross_entropy_takes_targets_of_own_batches_as_given():
    """Their labels may be smoothed already."""
    own = Own(model=small_model, dataset=Squares())
    model = compiled(own, loss="binary_crossentropy", label_smoothing=0.0)
    targets = np.array([[0.91, 0.03, 0.03, 0.03]], "float32")
    logits = np.array([[2, -1, 0, 1]], "float32")
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits)
    assert float(model.loss(targets, logits)) == pytest.approx(float(expected))


def test_several_devices_need_functions():
    devices = Devices()
    devices.count, devices.spread = 2, "a strategy"
    Own(small_model, keras.optimizers.Lion).check_devices(devices)
    made = {"model": small_model(), "optimizer": keras.optimizers.Lion()}
    for name, part in made.items():
        with pytest.raises(ValueError, match=f"{name}: on 2 devices give a function"):
            Own(**{name: part}).check_devices(devices)


@pytest.mark.every_backend
def test_a_sum_is_not_averaged_over_processes():
    devices = Devices()
    devices.processes = 2
    loss = keras.losses.CategoricalCrossentropy(True, reduction="sum")
    if keras.backend.backend() != "torch":
        return Own(loss=loss).check_devices(devices)
    with pytest.raises(ValueError, match="reduction='sum' would be averaged over 2"):
        Own(loss=loss).check_devices(devices)
