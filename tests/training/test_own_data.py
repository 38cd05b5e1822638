"""Batches and data sets of one's own in a run."""

import itertools
import re
import types

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_t2t.classifier import find_classifier
from keras_t2t.data import open_dataset
from keras_t2t.training import TrainingConfig
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.own import Own
from keras_t2t.training.own_data import in_batches
from keras_t2t.training.planning import check_plan, opened_data
from tests.training import recipe, tiny
from tests.training.conftest import history, record
from tests.training.own import OF_DATA, batch, small_model
from tests.training.test_resuming import SAVE, Killed, kill_at

pytestmark = pytest.mark.once


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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (endless, "function gives training batches alon"),
        ((endless(), validation), "generator can be read once only"),
        ((endless, tiny.TinyData()), "cannot be one of a pair"),
        (([3], validation), r"must be \(images, targets\), got 3"),
        ((endless, validation), "integer targets need class_names"),
        ((COLUMNS, validation), r"got \(8, 1\); squeeze .* \(batch,\)"),
        (([(IMAGES, 3)], validation), r"\(8,\) integers, got \(\)$"),
        ((SCALED, SCALED), r"0\.\.0\.471 .*; small standardises"),
        (([(IMAGES, TARGETS)], PADDED), r"no weights, got 0\.\.1: "),
        ((Sharded(), validation), r"DistributedSampler\(num_replicas=2"),
        ((ShardedBatches, validation), "takes its share of each batch"),
        ((lambda: SHRINKING, validation), "has 7 images, the first had 8"),
        (7, "dataset must be a data set of keras_t2t.data"),
    ],
)
def test_data_that_does_not_fit_is_one_line(train, tmp_path, given, told):
    with pytest.raises(ValueError, match=told) as error:
        train(OF_DATA, model=small_model, dataset=given)
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


def test_a_length_that_is_not_known_is_asked_for():
    class Unknown(list):
        def __len__(self):
            raise TypeError("The dataset length is unknown.")  # as tf.data does

    for batches in (endless, Unknown([batch(0, 8)])):
        with pytest.raises(ValueError, match="give steps_per_epoch, or"):
            opened((batches, validation), small_model(), steps_per_epoch=None)


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
