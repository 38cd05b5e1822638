"""Parts of one's own in a run: model, optimizer, loss, callbacks, data set."""

import contextlib
import functools
import itertools
import re
import types

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_t2t.classifier import find_classifier, load
from keras_t2t.data import open_dataset
from keras_t2t.training import Stopped, TrainingConfig, evaluation
from keras_t2t.training import run as training_run
from keras_t2t.training.compiled_model import compiled_model
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.own import Own
from keras_t2t.training.own_data import in_batches
from keras_t2t.training.own_model import check_loss, gives_probabilities
from keras_t2t.training.planning import check_plan, opened_data
from keras_t2t.training.run import dtype_policy
from tests.training import recipe, tiny
from tests.training.conftest import assert_close, history, record, weights
from tests.training.test_resuming import SAVE, Killed, kill_at
from tests.training.test_stopping import raise_at

pytestmark = pytest.mark.once

OF_DATA = {"dataset": None, "epochs": 2, "steps_per_epoch": 3}


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


@pytest.fixture
def train(tiny_run):
    def train(settings=None, on_step=None, **parts):
        settings = {"learning_rate": None, **(settings or {})}
        return tiny_run(drop=0.2, on_step=on_step, parts=parts, **settings)

    return train


def parts():
    optimizer = keras.optimizers.Lion(1e-3, weight_decay=0.1, use_ema=True)
    return {"optimizer": optimizer, "loss": focal, "callbacks": [Halve()]}


def small_model():
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    x = keras.layers.AveragePooling2D(8)(x)
    x = keras.layers.Dropout(0.1)(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(4)(x), name="small")


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


class Squares:
    """Batches of integers' images, without any of our names."""

    name, class_names = "squares", ("a", "b", "c", "d")

    def train_batches(self, first_step):
        for step in range(first_step, first_step + 4):  # begun again where it ends
            yield batch(step, 8)

    def validation_batches(self):
        yield batch(1000, 5)
        yield batch(1001, 6)


def batch(step, size):
    labels = np.random.default_rng(step).integers(4, size=size)
    return np.full((size, 32, 32, 3), 40.0) * labels[:, None, None, None], labels


def endless():
    return (batch(step, 8) for step in itertools.count())


def validation():
    return [batch(1000, 11)]


def test_functions_that_give_batches(train, tmp_path, capsys):
    """They begin again where a run goes on, and it says so."""
    batches = (endless, validation)
    with pytest.raises(Killed):
        train({**OF_DATA, **SAVE}, kill_at(5), model=small_model(), dataset=batches)
    assert "(endless takes no first_step), unless" in capsys.readouterr().out
    train({**OF_DATA, "resume": True}, model=small_model(), dataset=batches)
    assert len(history(tmp_path / "run")) == 2

    def alone(first_step=0):
        return ([x, np.eye(4)[y]] for x, y in [batch(first_step, 8)])

    train({**OF_DATA, "dataset": "digits", "overwrite": True}, dataset=alone)
    assert "10 validation images" in capsys.readouterr().out


def test_what_a_data_set_of_this_package_says_is_recorded(train, tmp_path):
    """`evaluate` and `predict` read it; a resumed run has the same."""
    recipe.write_photographs(tmp_path / "photos")

    def opened(share):
        flat = tmp_path / "photos" / "train"
        return {"dataset": open_dataset(data_dir=flat, validation_share=share)}

    settings = {"dataset": None, "batch_size": 4, "epochs": 1, "augmentation": "none"}
    with pytest.raises(Killed):
        train({**settings, **SAVE}, kill_at(2), **opened(0.25))
    with pytest.raises(ValueError, match=r"_share: the run has 0\.25, now 0\.5"):
        train({**settings, "resume": True}, **opened(0.5))
    train({**settings, "resume": True}, **opened(0.25))
    recorded = record(tmp_path / "run")
    assert (recorded["validation_share"], recorded["exif_orientation"]) == (0.25, True)
    assert find_classifier(tmp_path / "run").exif_orientation


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


class DistributedSampler:
    num_replicas = 2


class Sharded(list):
    """What torch's `DataLoader` gives with such a sampler."""

    sampler = DistributedSampler()


class ShardedBatches(list):
    sampler, batch_sampler = None, Sharded()


IMAGES, LABELS = batch(0, 8)
TARGETS = np.eye(4)[LABELS]
PADDED = [(IMAGES, TARGETS, np.arange(8) < 7)]
COLUMNS = [(IMAGES, LABELS[:, None])]  # as some loaders give them
SCALED = [(IMAGES / 255, TARGETS)]
SHRINKING = [(IMAGES, TARGETS), (IMAGES[1:], TARGETS[1:])]


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
        ("dataset", endless, "function gives training batches alon"),
        ("dataset", (endless(), validation), "generator can be read once only"),
        ("dataset", (endless, tiny.TinyData()), "cannot be one of a pair"),
        ("dataset", ([3], validation), r"must be \(images, targets\), got 3"),
        ("dataset", (endless, validation), "integer targets need class_names"),
        ("dataset", (COLUMNS, validation), r"got \(8, 1\); squeeze .* \(batch,\)"),
        ("dataset", ([(IMAGES, 3)], validation), r"\(8,\) integers, got \(\)$"),
        ("dataset", (SCALED, SCALED), r"0\.\.0\.471 .*; small standardises"),
        ("dataset", ([(IMAGES, TARGETS)], PADDED), r"no weights, got 0\.\.1: "),
        ("dataset", (Sharded(), validation), r"DistributedSampler\(num_replicas=2"),
        ("dataset", (ShardedBatches, validation), "takes its share of each batch"),
        ("dataset", (lambda: SHRINKING, validation), "has 7 images, the first had 8"),
        ("dataset", 7, "dataset must be a data set of keras_t2t.data"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(train, tmp_path, part, own, told):
    own, settings = {part: own}, {}
    if part == "dataset":
        own["model"], settings = small_model, OF_DATA
    with pytest.raises(ValueError, match=told) as error:
        train(settings, **own)
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


def opened(batches, model=None, **settings):
    """The data set that a run makes of its own batches."""
    config = TrainingConfig(**{"epochs": 1, "steps_per_epoch": 3, **settings})
    return opened_data(config, Own(model, dataset=batches))


def test_floats_of_0_to_1_are_not_pixels():
    """Only a model of one's own that leaves its input as it is may take them."""

    def count(images, others=None, model=None):
        others = images if others is None else others
        return opened(([(images, TARGETS)], [(others, TARGETS)]), model).num_train

    small = IMAGES / 255
    for images, told in (
        (small, "float64 in 0..0.471"),
        (IMAGES / 30 - 2.1, "float64 in -2.1..1.9"),
        (small.astype(ml_dtypes.bfloat16), "bfloat16 in 0..0.471"),
    ):
        told = re.escape(f"pixels 0..255, got {told} in the first batch")
        with pytest.raises(ValueError, match=f"^dataset: .*{told}$"):
            count(images)
    assert count(IMAGES) == count(0 * IMAGES) == count(small, model=small_model) == 24
    # Those that validate are like those that train.
    pixels, black = IMAGES.astype("uint8"), 0.0 * IMAGES
    assert count(pixels, IMAGES) == 24
    # Also where the two stand on either side of what looks like pixels.
    for pair in ((small, black), (black, small), (IMAGES / 11, IMAGES / 13)):
        assert count(*pair, model=small_model) == 24
    with pytest.raises(ValueError, match="must be pixels"):
        alone = [(small, np.eye(10)[LABELS])]
        opened(lambda: alone, small_model, dataset="digits")
    told = r"alike, got uint8 in 0\.\.120 and float64 in 0\.\.0\.471 in their first"
    with pytest.raises(ValueError, match=told):
        count(IMAGES.astype("uint8"), small)
    with pytest.raises(ValueError, match=r"0\.\.0\.471 and float64 in 0\.\.120 in"):
        count(small, IMAGES, small_model)

    image, said = keras.Input((32, 32, 3)), []
    plain = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))
    for problem, lines in (("scaled", 0), (None, 1)):
        Own(model=plain).built_model(32, 4, said.append, problem)
        assert len(said) == lines


class Logged(keras.utils.PyDataset):
    """Two batches; notes what is read, and where a pass begins and ends."""

    log = ""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        self.log += str(index)
        images, labels = batch(index, 8)
        return images, np.eye(4)[labels], np.ones(8)

    def on_epoch_begin(self):
        self.log += "("

    def on_epoch_end(self):
        self.log += ")"


def test_a_py_dataset_is_told_where_a_pass_begins_and_ends():
    """As by `fit`, which looks at batches first."""
    training, validation = Logged(), Logged()
    data = opened((training, validation))
    assert (training.log, validation.log) == ("(0)1", "(01)")
    stream = data.train_batches(32, 8, seed=0)
    assert len(list(itertools.islice(stream, 5))) == 5
    assert training.log == "(0)1" + "(01)(01)(0"
    assert len(list(data.validation_batches(32, 8))) == 2
    assert validation.log == "(01)" * 2


class Indexed:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return SHRINKING[index]


class Loader(Indexed):
    """What torch's `DataLoader` tells by default of 15 images."""

    drop_last, batch_size, sampler = False, 8, range(15)

    def __iter__(self):
        return iter(SHRINKING)


@pytest.mark.parametrize("source", [Loader(), Indexed(), SHRINKING])
def test_a_smaller_last_batch_is_told_before_the_first_step(source):
    """Where a run reads it."""
    given = (source, validation), small_model()
    told = "has 7 images, the first had 8: leave a smaller last .* drop_last=True"
    with pytest.raises(ValueError, match=told):
        opened(*given, steps_per_epoch=None)
    for epochs in (1, None):
        assert opened(*given, epochs=epochs, steps_per_epoch=1).num_train == 8


@pytest.mark.parametrize(("said", "found"), [(12, "more"), (20, "16")])
def test_validation_has_as_many_images_as_it_says(said, found):
    given = types.SimpleNamespace(num_validation=said)
    given.train_batches = given.validation_batches = [(IMAGES, TARGETS)] * 2
    data = opened(given)
    told = f"num_validation is {said}, and the validation batches have {found} images"
    with pytest.raises(ValueError, match=told):
        list(data.validation_batches(32, 8))


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


def test_a_length_that_is_not_known_is_asked_for():
    class Unknown(list):
        def __len__(self):
            raise TypeError("The dataset length is unknown.")  # as tf.data does

    for batches in (endless, Unknown([batch(0, 8)])):
        with pytest.raises(ValueError, match="give steps_per_epoch, or"):
            opened((batches, validation), small_model(), steps_per_epoch=None)


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


def test_validation_may_fill_one_array_again_and_again():
    array = np.zeros((5, 1))

    def batches():
        for first in range(0, 20, 5):
            array[:, 0] = np.arange(first, first + 5)
            yield array, array[:, 0].copy()

    images, targets = map(np.concatenate, zip(*in_batches(batches(), 4), strict=True))
    np.testing.assert_array_equal(images[:, 0], targets)


def test_every_process_must_give_the_same_batches(tmp_path):
    """Not of another seed in each, nor of a folder that lacks an image on one host."""
    config = TrainingConfig(batch_size=8)
    recipe.write_photographs(tmp_path / "photos")
    whole = open_dataset(data_dir=tmp_path / "photos")
    min((tmp_path / "photos" / "train").glob("*/*")).unlink()
    fewer = open_dataset(data_dir=tmp_path / "photos")
    own, other = (
        opened(([given], [given]), small_model())
        for given in (batch(0, 8), batch(1, 8))
    )
    told = "dataset: process 0 has other images .* or the same whole batches"
    for data, another in ((own, other), (whole, fewer)):
        devices, numbers = Devices(), set()

        def differs(number, numbers=numbers):
            numbers.add(number)
            return len(numbers) > 1

        devices.differs = differs
        for _ in range(2):
            check_plan(config, data, devices)
        with pytest.raises(ValueError, match=told):
            check_plan(config, another, devices)


def test_binary_cross_entropy_takes_targets_of_own_batches_as_given():
    """Their labels may be smoothed already."""
    own = Own(model=small_model, dataset=Squares())
    model = compiled(own, loss="binary_crossentropy", label_smoothing=0.0)
    targets = np.array([[0.91, 0.03, 0.03, 0.03]], "float32")
    logits = np.array([[2, -1, 0, 1]], "float32")
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits)
    assert float(model.loss(targets, logits)) == pytest.approx(float(expected))


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("labels", [np.ones(8, int), np.ones((8, 1)), np.zeros(8, int)])
def test_one_output_tells_two_classes_apart(train, activation, labels):
    """All answers are 0."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    head = keras.layers.Dense(1, activation, kernel_initializer="zeros")
    model = keras.Model(image, head(x))
    head.bias.assign([-9.0])
    batches = [(np.full((8, 32, 32, 3), 99, "uint8"), labels)]
    result = train(
        OF_DATA,
        model=model,
        loss=keras.losses.BinaryCrossentropy(from_logits=activation is None),
        callbacks=[keras.callbacks.EarlyStopping("val_top1", patience=9)],
        dataset=(batches, batches),
        optimizer=keras.optimizers.SGD(1e-6),
    )
    assert result["val_top1"] == 1 - labels.max()
    assert result["val_top5"] == 1


def test_several_devices_need_functions():
    devices = Devices()
    devices.count, devices.spread = 2, "a strategy"
    Own(small_model, keras.optimizers.Lion).check_devices(devices)
    made = {"model": small_model(), "optimizer": keras.optimizers.Lion()}
    for name, part in made.items():
        with pytest.raises(ValueError, match=f"{name}: on 2 devices give a function"):
            Own(**{name: part}).check_devices(devices)


def test_lists_of_batches_are_recorded_as_lists():
    """Not batch by batch."""
    own = Own(dataset=([batch(step, 8) for step in range(9)], validation()))
    record = {"own": own.record()}
    assert record == {"own": {"dataset": [{"class": "list"}, {"class": "list"}]}}
    own.check_given_again(record, "run")
    for callbacks in ([{"class": "Halve"}], [[{"function": "Halve"}]]):  # from anybody
        record["own"]["callbacks"] = callbacks
        told = r"began with dataset \(list, list\), callbacks \(Halve\) of your own"
        with pytest.raises(ValueError, match=told):
            own.check_given_again(record, "run")


@pytest.mark.every_backend
def test_a_sum_is_not_averaged_over_processes():
    devices = Devices()
    devices.processes = 2
    loss = keras.losses.CategoricalCrossentropy(True, reduction="sum")
    if keras.backend.backend() != "torch":
        return Own(loss=loss).check_devices(devices)
    with pytest.raises(ValueError, match="reduction='sum' would be averaged over 2"):
        Own(loss=loss).check_devices(devices)
