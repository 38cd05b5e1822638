"""Both readers draw the same numbers, and so the same images but for arithmetic."""

import dataclasses

import numpy as np
import pytest

from keras_t2t import data
from keras_t2t.data import readers
from keras_t2t.data.draws.image_draws import BLOCK
from keras_t2t.data.draws.mixing import batch_mixing
from keras_t2t.data.draws.order import shuffled_indices
from tests.data import streams
from tests.data.draws import image_draws
from tests.processes import python

NIGHTLY = pytest.mark.nightly
NONE, FULL = data.AUGMENTATIONS["none"], data.AUGMENTATIONS["full"]


@pytest.mark.parametrize("format", ["JPEG", pytest.param("PNG", marks=NIGHTLY)])
@pytest.mark.parametrize(
    ("augmentation", "most"),
    [
        # Grey levels in the mean: of what is cut, resized, mixed and erased, rounding;
        # of operations on colours what tests/data/test_operations.py allows.
        pytest.param(data.AUGMENTATIONS["light"], 0.6, marks=NIGHTLY),
        pytest.param(dataclasses.replace(NONE, mixup_alpha=0.8), 0.6, marks=NIGHTLY),
        pytest.param(dataclasses.replace(NONE, cutmix_alpha=1.0), 0.6, marks=NIGHTLY),
        (FULL, 8),
    ],
    ids=["light", "mixup", "CutMix", "full"],
)
def test_both_readers_train_on_the_same(write_photographs, augmentation, most, format):
    """Images, targets and their order by the same draws; pixels by other arithmetic."""
    folder = write_photographs(format)

    def trained(reader):
        dataset = data.open_dataset(data_dir=folder, reader=reader)
        return streams.read(dataset.train_batches(48, 4, 3, augmentation), 6)

    (images, targets), (others, their_targets) = map(trained, readers.READERS)
    assert images.dtype == others.dtype and images.shape == others.shape
    np.testing.assert_array_equal(targets, their_targets)
    difference = np.abs(images.astype("float32") - others).reshape(6, -1)
    assert difference.mean(axis=1).max() <= most


@pytest.mark.parametrize(
    ("format", "many"),
    [("JPEG", 1000), ("JPEG", 2), ("PNG", 1000)],  # with many classes, none is reduced
)
@pytest.mark.parametrize("reader", readers.READERS)
def test_training_images_of_no_augmentation_are_those_of_evaluation(
    write_photographs, reader, format, many, monkeypatch
):
    name = f"keras_t2t.data.{reader}_reader.reader.IMAGENET_CLASSES"
    monkeypatch.setattr(name, many)
    folder = write_photographs(format) / "train"
    dataset = data.open_dataset(data_dir=folder, validation_share=0.5, reader=reader)
    whole = data.open_dataset(
        data_dir=folder, validation_share=1, reader=reader, evaluation_only=True
    )
    with pytest.raises(ValueError, match="was opened with evaluation_only=True"):
        whole.train_batches(48, 4, 0)
    seen = []
    for transform in ({}, {"crop": 1.0, "interpolation": "bilinear"}):
        batches = dataset.train_batches(48, dataset.num_train, 0, NONE, **transform)
        images, _ = streams.read(batches, 1)
        evaluated, _ = streams.read(whole.validation_batches(48, 4, **transform))
        evaluated = {image.tobytes() for image in evaluated}
        assert len(evaluated) == whole.num_validation > dataset.num_train
        assert {image.tobytes() for image in images} < evaluated
        seen.append(images)
    assert not np.array_equal(*seen)
    other = dataclasses.replace(NONE, interpolation="random")
    [(again, _)] = streams.batches(
        dataset.train_batches(48, dataset.num_train, 0, other, **transform), 1
    )
    np.testing.assert_array_equal(again, images)


def test_tensorflows_stream(write_photographs):
    folder = write_photographs("JPEG")
    dataset = data.open_dataset(data_dir=folder, reader="tensorflow")
    streams.check_training(dataset, FULL, first_steps=(1,))
    streams.check_bad_arguments(dataset)
    # Closing it would wait for a tuner.
    for stream in (dataset.train_batches(16, 4, 0), dataset.validation_batches(16, 4)):
        assert stream.options().autotune.enabled is False


def test_draws_are_functions_of_seed_and_position():
    positions = np.arange(3 * BLOCK)
    whole = image_draws(positions, 5, 32, FULL)
    some = np.array([0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
    for column, part in zip(whole, image_draws(some, 5, 32, FULL), strict=True):
        np.testing.assert_array_equal(part, column[some])
    assert not np.array_equal(image_draws(positions, 6, 32, FULL).crop, whole.crop)
    assert not np.array_equal(whole.crop[0], whole.crop[BLOCK])
    assert batch_mixing(0, 5, 32, FULL) is not batch_mixing(1, 5, 32, FULL)


def test_no_setting_changes_what_others_draw():
    def drawn(**settings):
        return image_draws(range(10), 5, 32, dataclasses.replace(FULL, **settings))

    whole, less = drawn(), drawn(num_operations=0, erasing_probability=0)
    for name in ("crop", "bicubic", "flipped"):
        np.testing.assert_array_equal(getattr(less, name), getattr(whole, name))
    more = drawn(three_augment=True, color_jitter=0.3)
    for name in ("operations", "levels", "signs", "operations_bicubic"):
        column = getattr(more, name)[:, 4:]  # after 3-Augment's one and the jitter's
        np.testing.assert_array_equal(column, getattr(whole, name))


def test_the_order_is_a_permutation_of_each_epoch():
    order = shuffled_indices(np.arange(35), 7, 3).reshape(5, 7)
    assert (np.sort(order) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in order}) == 5
    np.testing.assert_array_equal(shuffled_indices([20, 3], 7, 3), order.flat[[20, 3]])
    assert sorted(shuffled_indices(np.arange(7), 7, 3, repeats=3)) == list(range(7))


@pytest.mark.parametrize("count", [96, 97, 200])
def test_repeats_in_an_epoch_of_fewer_images(count):
    """Never beside itself, which would be mixed with itself, nor often by another."""
    order = shuffled_indices(np.arange(2 * count), count, 3)
    again = shuffled_indices(np.arange(2 * count), count, 3, repeats=3)
    for start in (0, count):
        images, times = np.unique(again[start : start + 96], return_counts=True)
        assert (times == 3).all() and set(images) == set(order[start : start + 32])
    assert (again[1:] != again[:-1]).all()
    pairs = {frozenset(pair) for pair in again[:96].reshape(-1, 2).tolist()}
    assert len(pairs) == 48
    assert (shuffled_indices([4, 90], count, 3, 3) == again[[4, 90]]).all()


@pytest.mark.processes
def test_nothing_loads_tensorflow(write_photographs):
    script = """
import sys
from keras_t2t import data
dataset = data.open_dataset(data_dir=sys.argv[1], skip_corrupt=True)
full = data.AUGMENTATIONS["full"]
images, targets = next(iter(dataset.train_batches(32, 8, 0, full)))
assert images.shape == (8, 32, 32, 3) and targets.shape == (8, 2)
assert sum(len(batch[0]) for batch in dataset.validation_batches(32, 3)) == 8
assert not {"tensorflow", "tensorflow_datasets", "keras_cv"} & set(sys.modules)
"""
    done = python("-c", script, write_photographs("JPEG"))
    assert done.returncode == 0, done.stderr
