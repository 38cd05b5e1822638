"""Custom batches as the data set of a run."""

import contextlib
import itertools
import zlib

import keras
import numpy as np

from keras_t2t._ground.arguments import brief, integer
from keras_t2t.data.dataset import Dataset
from keras_t2t.training.own_model import name_of, parameter

ACCEPTED = (
    "a data set of keras_t2t.data, an object with train_batches and "
    "validation_batches, a pair (training, validation) of functions or iterables that "
    "give batches, or a function that gives training batches"
)
SCALED = 10  # images that were scaled have smaller numbers, pixels larger ones


class OwnData(Dataset):
    """Custom batches, as `train` describes them; validation batches may differ in size,
    and have no weights but 1. A source that ends is started again.

    Args:
        given: the argument `dataset` of `train`.
        validation: `Dataset` for validation if `given` is a function, else None.
        classes: the model's outputs, None if not known.
        fewest: 1 if targets may have one column, with values 0..1, else 2.

    Attributes:
        not_pixels: why the images of the first batch cannot be pixels 0..255, which a
            custom model need not take; None if they can.
        checksum: int of 31 bits, of the first targets: several processes must have the
            same images in the same order, but may augment each image in another way.
    """

    def __init__(self, given, validation, config, classes=None, fewest=2):
        self._validation = validation
        self._train, self._own_validation = sources(given, validation)
        first = given[0] if isinstance(given, (tuple, list)) else given
        self.name = str(getattr(given, "name", None) or name_of(first).strip("<>"))
        names = getattr(given, "class_names", None)
        if names is None:
            names = getattr(validation, "class_names", None)
        self._classes = classes if names is None else len(names)
        self._fewest = fewest
        self._problem = None
        batch = next(iter(self._train_from(0)))
        self.not_pixels = not_pixels(batch[0])
        self._scale, self._range = scale_of(batch[0]), range_of(batch[0])
        self.checksum = zlib.crc32(batch[1].tobytes()) >> 1
        self.batch_size, self.image_size = batch[0].shape[:2]
        if names is None:
            names = map(str, range(batch[1].shape[1]))
        self.class_names = tuple(map(str, names))
        for name in ("batch_size", "image_size"):
            asked, found = getattr(config, name), getattr(self, name)
            if asked not in (None, found):
                raise ValueError(
                    f"{name}={asked}: the batches of dataset have {found}; leave it out"
                )
        self._check_last(config, given)
        self.num_train = number("num_train", given) or self._length(config)
        self.num_validation = self._count(given)

    @property
    def starts_anywhere(self):
        return takes_first_step(self._train)

    def _train_batches(self, asked):
        rows = rows_of(asked)
        for batch in self._train_from(asked.first_step):
            self._check_size(len(batch[0]))
            yield tuple(array[rows] for array in batch)

    def _validation_batches(self, asked):
        if self._validation is not None:
            return self._validation.validation_batches(*asked)
        return self._own_validation_batches(asked)

    def _own_validation_batches(self, asked):
        rows, batch_size, pad = rows_of(asked), asked.batch_size, asked.pad
        counted = self._counted(self._validate())
        for images, targets in in_batches(counted, batch_size):
            short = batch_size - len(images) if pad else 0
            weights = np.repeat(np.array([1, 0], "float32"), [len(images), short])
            batch = padded(images, short), padded(targets, short), weights
            yield tuple(array[rows] for array in batch[: 3 if pad else 2])

    def diagnose(self, error):
        if self._problem is not None:
            return self._problem
        return self._validation and self._validation.diagnose(error)

    def _train_from(self, first_step):
        """Endless batches from a step on; a source that cannot start there is read."""
        step = first_step if self.starts_anywhere else 0
        while True:
            begun = step
            for batch in opened(self._train, step):
                if step >= first_step:
                    yield self._batch(batch, "training")
                step += 1
            if step == begun:
                raise self._wrong("there are no training batches")

    def _counted(self, batches):
        """The same batches, after a check that they are as many images as was said."""
        count = 0
        for images, targets in batches:
            count += len(images)
            if count > self.num_validation:
                break
            yield images, targets
        if count != self.num_validation:
            found = "more" if count > self.num_validation else count
            raise self._wrong(
                f"num_validation is {self.num_validation}, and the validation batches "
                f"have {found} images"
            )

    def _validate(self):
        for batch in opened(self._own_validation):
            images, targets, *weights = self._batch(batch, "validation")
            if weights and (weights[0] != 1).any():
                low, high = weights[0].min(), weights[0].max()
                raise self._wrong(
                    f"validation batches have no weights, got {low:g}..{high:g}: leave "
                    "padding out"
                )
            yield images, targets

    def _check_scale(self, images):
        low, high = sorted([self._scale, scale_of(images)])
        differ = bool(self.not_pixels) != bool(not_pixels(images))
        if differ and 0 < 20 * low <= high:  # not by chance
            raise self._wrong(
                "training and validation images must be scaled alike, got "
                f"{self._range} and {range_of(images)} in their first batches"
            )

    def _batch(self, batch, kind):
        """A batch as arrays, after a check that it is one."""
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise self._wrong(
                f"a {kind} batch must be (images, targets), got {brief(batch)}"
            )
        images, targets, *weights = map(np.asarray, batch)
        shape, size = images.shape, getattr(self, "image_size", None)
        if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or not shape[0]:
            raise self._wrong(
                f"{kind} images must be (batch, size, size, 3), got {shape}"
            )
        if size is not None and shape[1] != size:
            raise self._wrong(f"{kind} images have {shape[1]} px, the first had {size}")
        classes = self._classes
        if targets.shape == shape[:1] and np.issubdtype(targets.dtype, np.integer):
            if classes is None:
                raise self._wrong(
                    "integer targets need class_names, or a model that is built"
                )
            last = max(classes, 2) - 1
            if targets.min() < 0 or targets.max() > last:
                raise self._wrong(
                    f"{kind} targets must be in 0..{last}, got "
                    f"{targets.min()}..{targets.max()}"
                )
            one = classes == 1
            targets = targets[:, None] if one else np.eye(classes)[targets]
        columns = targets.shape[1] if targets.ndim == 2 else 0
        needed = classes or max(self._fewest, columns)
        if needed == columns == 1 and (targets.min() < 0 or targets.max() > 1):
            needed = 2  # these are numbers of classes
        if targets.shape != (shape[0], needed):
            wanted = f"({shape[0]}, {classes or 'classes'})"
            way = "; squeeze integers to (batch,)" if columns == 1 else ""
            way = "; for one output, give 0 or 1" if classes == columns == 1 else way
            raise self._wrong(
                f"{kind} targets must be {wanted} or ({shape[0]},) integers, got "
                f"{targets.shape}{way}"
            )
        self._classes = targets.shape[1]
        if weights and weights[0].shape != shape[:1]:
            raise self._wrong(
                f"{kind} weights must be {shape[:1]}, got {weights[0].shape}"
            )
        return (images, *(x.astype("float32") for x in (targets, *weights)))

    def _check_size(self, count):
        if count != self.batch_size:
            raise self._wrong(
                f"a training batch has {count} images, the first had "
                f"{self.batch_size}: leave a smaller last batch out (torch's "
                "drop_last=True, tf.data's drop_remainder=True)"
            )

    def _check_last(self, config, given):
        """Raises a ValueError if a run would read a last batch that is known to be
        smaller, which is the default of torch's `DataLoader`."""
        source, last = self._train, self.batch_size
        with contextlib.suppress(Exception):  # nothing tells, or not between passes
            batches = len(source)
            said = (number("num_train", given) or 0) // self.batch_size
            steps = config.steps_per_epoch or said or batches
            if not 1 < batches <= (config.epochs or 1) * steps:
                return
            if indexed(source) or isinstance(source, (list, keras.utils.PyDataset)):
                last = len(source[batches - 1][0])
            elif not getattr(source, "drop_last", True):
                last = len(source.sampler) % source.batch_size or self.batch_size
        self._check_size(last)

    def _wrong(self, problem):
        self._problem = ValueError(f"dataset: {problem}")
        return self._problem

    def _length(self, config):
        """Training images of an epoch."""
        if config.steps_per_epoch is not None:
            return config.steps_per_epoch * self.batch_size
        with contextlib.suppress(TypeError):  # no length, or tf.data does not know it
            return len(self._train) * self.batch_size
        raise ValueError(
            "dataset: nothing tells how many batches an epoch has: give "
            "steps_per_epoch, or give the data set an attribute num_train"
        )

    def _count(self, given):
        """Validation images."""
        if self._validation is not None:
            return self._validation.num_validation
        batches = (images for images, _ in self._validate())
        first = next(batches, None)  # read in any case: it tells what is wrong now
        if first is None:
            raise ValueError("dataset: there are no validation images")
        self._check_scale(first)
        return number("num_validation", given) or len(first) + sum(map(len, batches))


def not_pixels(images):
    """A line if images look as if divided by 255, or standardised; else None."""
    # V: bfloat16
    if images.dtype.kind not in "fV" or not 0 < scale_of(images) < SCALED:
        return None
    return (
        f"dataset: training images must be pixels 0..255, got {range_of(images)} in "
        "the first batch"
    )


def scale_of(images):
    return max(-float(images.min()), float(images.max()))


def range_of(images):
    return f"{images.dtype} in {float(images.min()):.3g}..{float(images.max()):.3g}"


def rows_of(asked):
    """The slice of each batch that belongs to this shard."""
    part, parts = asked.shard
    size = asked.batch_size // parts
    return slice(part * size, (part + 1) * size)


def sources(given, validation):
    """The sources of training batches and of validation batches."""
    if hasattr(given, "train_batches") and hasattr(given, "validation_batches"):
        found = given.train_batches, given.validation_batches
    elif isinstance(given, (tuple, list)) and len(given) == 2:
        found = tuple(given)
    elif callable(given):
        found = given, validation
        if validation is None:
            raise ValueError(
                "dataset: a function gives training batches alone: give a pair "
                "(training, validation), or name validation data in the config"
            )
    else:
        raise ValueError(f"dataset must be {ACCEPTED}, got {brief(given)}")
    for source in found:
        if isinstance(source, Dataset):
            if source is validation:
                continue
            raise ValueError(
                "dataset: a data set of this package cannot be one of a pair: give it "
                "alone, or name it in the config and give a function of training "
                "batches"
            )
        if isinstance(source, (str, dict, np.ndarray)) or not (
            callable(source) or hasattr(source, "__iter__") or indexed(source)
        ):
            raise ValueError(f"dataset must be {ACCEPTED}, got {brief(source)}")
        if hasattr(source, "__next__"):
            raise ValueError(
                "dataset: a generator can be read once only: give the function that "
                "makes it"
            )
    return found


def opened(source, first_step=0):
    """One pass over the batches of a source, from `first_step` on if it takes that. A
    `PyDataset` is told where the pass begins and ends, also early, as by `fit`."""
    if takes_first_step(source):
        batches = source(first_step=first_step)
    else:
        batches = source() if callable(source) else source
    for owner in (batches, getattr(batches, "batch_sampler", None)):
        sampler = getattr(owner, "sampler", None)
        count = getattr(sampler, "num_replicas", 1)
        if count > 1:
            raise ValueError(
                f"dataset: {type(sampler).__name__}(num_replicas={count}) gives this "
                "process a share of the images, and a run itself takes its share of "
                "each batch: leave the sampler out"
            )
    if hasattr(batches, "on_epoch_begin"):
        batches.on_epoch_begin()
    try:
        if indexed(batches):
            yield from map(batches.__getitem__, range(len(batches)))
        else:
            yield from batches
    finally:
        if hasattr(batches, "on_epoch_end"):
            batches.on_epoch_end()


def indexed(source):
    """Whether it gives batches by index, as Keras's `PyDataset` does."""
    return not hasattr(source, "__iter__") and hasattr(source, "__getitem__")


def takes_first_step(source):
    return callable(source) and parameter(source, "first_step") is not None


def in_batches(batches, size):
    """The same images and targets, `size` at a time."""
    # Copied: a source may fill one array again and again.
    copies = (map(np.array, batch) for batch in batches)
    rows = (row for batch in copies for row in zip(*batch, strict=True))
    while batch := list(itertools.islice(rows, size)):
        yield tuple(map(np.stack, zip(*batch, strict=True)))


def padded(array, rows):
    return np.pad(array, [(0, rows), *[(0, 0)] * (array.ndim - 1)])


def number(name, given):
    """An attribute that is a number of images, None if there is no such attribute."""
    value = getattr(given, name, None)
    return value if value is None else integer(name, value)
