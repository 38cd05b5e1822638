"""Both readers draw the same numbers and give the same images."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from keras_t2t import data
from keras_t2t.data import readers
from keras_t2t.data.draws.image_draws import BLOCK, batch_mixing, image_draws
from keras_t2t.data.draws.order import shuffled_indices
from tests.data import streams

NONE, FULL = data.AUGMENTATIONS["none"], data.AUGMENTATIONS["full"]


@pytest.fixture
def write_photographs(write_folder, photographs, encode):
    def write(format):
        files = {
            f"{split}/{name}/{i}": encode(photo[i * 30 :, i * 20 :], format)
            for split in ("train", "val")
            for name, photo in zip(("china", "flower"), photographs, strict=True)
            for i in range(4)
        }
        return write_folder(files)

    return write


def both(folder, make, number=4):
    """Batches of TensorFlow's reader and of Grain's."""
    return [
        streams.batches(make(data.open_dataset(data_dir=folder, reader=name)), number)
        for name in readers.READERS
    ]


def differences(ours, expected):
    """Of the images, in grey levels; all else must be the same."""
    assert len(ours) == len(expected) > 1
    for (images, *rest), (other_images, *other_rest) in zip(
        ours, expected, strict=True
    ):
        assert images.dtype == other_images.dtype
        streams.assert_same([tuple(rest)], [tuple(other_rest)])
    columns = [np.concatenate([b[0] for b in batches]) for batches in (ours, expected)]
    return np.abs(columns[0].astype(float) - columns[1])


@pytest.mark.nightly
@pytest.mark.parametrize(
    "augmentation",
    [
        NONE,
        data.AUGMENTATIONS["light"],
        data.AUGMENTATIONS["padded"],
        dataclasses.replace(FULL, num_operations=0),
        dataclasses.replace(NONE, mixup_alpha=0.8),
        dataclasses.replace(NONE, cutmix_alpha=1.0),
        dataclasses.replace(NONE, erasing_probability=1.0),
    ],
)
def test_training_images_to_two_grey_levels(write_photographs, augmentation):
    """Of files without loss: Pillow rounds between the two passes of a resize."""
    batches = both(
        write_photographs("PNG"), lambda d: d.train_batches(48, 4, 3, augmentation)
    )
    assert differences(*batches).max() <= 2


@pytest.mark.nightly
def test_the_full_recipe(write_photographs):
    batches = both(write_photographs("PNG"), lambda d: d.train_batches(48, 4, 3), 20)
    full = both(write_photographs("PNG"), lambda d: d.train_batches(48, 4, 3, FULL), 20)
    assert differences(*batches).max() <= 2
    # An operation that has a threshold makes a difference of one level large.
    assert np.mean(differences(*full) <= 2) > 0.99


def test_jpegs(write_photographs):
    folder = write_photographs("JPEG")
    validation = both(folder, lambda d: d.validation_batches(48, 4, pad=True))
    assert differences(*validation).max() <= 2
    # TensorFlow decodes the crop alone, which has other neighbours at its border.
    training = differences(*both(folder, lambda d: d.train_batches(48, 4, 3)))
    assert np.quantile(training, 0.99) <= 2


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
    positions = np.arange(10)
    whole = image_draws(positions, 5, 32, FULL)
    less = dataclasses.replace(FULL, num_operations=0, erasing_probability=0)
    for name in ("crop", "bicubic", "flipped"):
        np.testing.assert_array_equal(
            getattr(image_draws(positions, 5, 32, less), name), getattr(whole, name)
        )


def test_the_order_is_a_permutation_of_each_epoch():
    order = shuffled_indices(np.arange(35), 7, 3).reshape(5, 7)
    assert (np.sort(order) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in order}) == 5
    np.testing.assert_array_equal(shuffled_indices([20, 3], 7, 3), order.flat[[20, 3]])


def test_grain_where_tensorflow_is_not_installed(monkeypatch):
    assert readers.find_reader() == "tensorflow"
    assert readers.find_reader("grain") == "grain"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert readers.find_reader() == "grain"


@pytest.mark.parametrize("name", ["pillow", "", 3])
def test_no_reader(tmp_path, name):
    with pytest.raises(ValueError, match=r"reader must be one of tensorflow, grain, g"):
        data.open_dataset(data_dir=tmp_path, reader=name)


def test_nothing_loads_tensorflow(write_photographs):
    script = """
import sys, numpy as np
from keras_t2t import data
dataset = data.open_dataset(data_dir=sys.argv[1], reader="grain", skip_corrupt=True)
full = data.AUGMENTATIONS["full"]
images, targets = next(iter(dataset.train_batches(32, 8, 0, full)))
assert images.shape == (8, 32, 32, 3) and targets.shape == (8, 2)
assert sum(len(batch[0]) for batch in dataset.validation_batches(32, 3)) == 8
assert not {"tensorflow", "tensorflow_datasets", "keras_cv"} & set(sys.modules)
"""
    command = [sys.executable, "-c", script, write_photographs("JPEG")]
    subprocess.run(command, check=True)
