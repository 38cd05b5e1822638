"""Top-1 and top-5 over a data set and per class, with every image counted once; and
what a model says of each image."""

import math
import unicodedata

import keras
import numpy as np
from keras import ops

from keras_t2t._ground.arguments import shown
from keras_t2t.data.opening import naming_unreadable

TOLERANCE = 0.1  # percentage points from the published accuracy


class ClassAccuracy(keras.metrics.Metric):
    """Counts images and right answers, in all and per class.

    An answer is right if it is one of the image's labels. An image with several labels
    counts once in all, and once in each of its classes; one without any does not count.
    Counts are exact up to 2^24 images.
    """

    def __init__(self, classes):
        super().__init__()
        self.k = min(5, classes)
        # Rows: images, right at once, right among the first k. The last column: all.
        self.counts = self.add_variable(
            (3, classes + 1), initializer="zeros", dtype="float32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch, whose `y_true` is 1 for each label of an image, else 0."""
        labels = ops.cast(ops.cast(y_true, "float32") > 0, "float32")
        labels = ops.concatenate([labels, ops.max(labels, 1, keepdims=True)], axis=1)
        if sample_weight is not None:
            weights = ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
            labels = labels * weights
        _, best = ops.top_k(ops.cast(y_pred, "float32"), self.k)
        right = ops.take_along_axis(labels, ops.cast(best, "int32"), axis=1)
        rows = [ops.ones_like(right[:, 0]), right[:, 0], ops.max(right, axis=1)]
        self.counts.assign_add(ops.matmul(ops.stack(rows), labels))

    def result(self):
        """Top-1 over all images."""
        return ops.divide_no_nan(self.counts[1, -1], self.counts[0, -1])


def measure(model, dataset, batch_size, devices, verbose=0, **transform):
    """Evaluates a model, from pixels 0..255 to logits, on the validation images of a
    data set of its classes. Gives an int array (3, classes + 1): images, right at once,
    right among the first five; per class and, in the last column, in all."""
    metric = ClassAccuracy(dataset.num_classes)
    model.compile(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        weighted_metrics=[metric],
    )
    batches = dataset.validation_batches(
        model.input_shape[1], batch_size, devices.shard, pad=True, **transform
    )
    with naming_unreadable(dataset):
        logs = model.evaluate(
            batches,
            steps=math.ceil(dataset.num_validation / batch_size),
            verbose=verbose,
            return_dict=True,
        )
    logs |= devices.reduce_metrics(model)
    if not np.isfinite(logs["loss"]):
        raise FloatingPointError(
            f"{model.name} gives outputs that are no numbers (loss {logs['loss']})"
        )
    counts = ops.convert_to_numpy(metric.counts).astype("int64")
    if not counts[0, -1]:
        raise ValueError(f"none of the images of {dataset.name!r} has a label")
    return counts


def check_classes(dataset, classes, class_names, weights):
    """Raises a ValueError unless the classes of a data set are those of a model, whose
    names may be None; `weights` is what it was loaded from, for the error."""
    theirs = composed(dataset.class_names)
    if len(theirs) != classes:
        raise ValueError(
            f"{dataset.name!r} has {len(theirs)} classes, and {str(weights)!r} has "
            f"{classes or 'no head'}"
        )
    if class_names is None:
        by_number = all(name.isdecimal() for name in theirs)
        if by_number and theirs != sorted(theirs, key=int):
            raise ValueError(
                f"the class folders of {dataset.name!r} are numbers whose order as "
                f"text ({', '.join(theirs[:3])}, ...) is not that of the classes: pad "
                "them with zeros (or read ImageNet-V2 with --dataset imagenet_v2)"
            )
    elif theirs != (ours := composed(class_names)):
        i = next(i for i in range(classes) if theirs[i] != ours[i])
        raise ValueError(
            f"the classes of {dataset.name!r} are not those of {str(weights)!r}: class "
            f"{i} is {theirs[i]!a} in the data and {ours[i]!a} in the weights"
        )


def composed(names):
    """Names as they are compared: macOS writes an accent in a way of its own."""
    return [unicodedata.normalize("NFC", name) for name in names]


def deviations(published, top1, top5):
    """A text for each accuracy that is more than `TOLERANCE` points off the one in a
    row of the registry of weights; top-5 counts where it is known."""
    return [
        f"{name} is {measured:.3f}, published {expected:.3f}"
        for name, measured, expected in zip(
            ("top-1", "top-5"), (top1, top5), published.accuracy, strict=True
        )
        if expected is not None and abs(measured - expected) > TOLERANCE
    ]


def worse_than_the_largest_class(dataset, top1):
    """A line on a top-1 below the largest class's share; None if it is not below, or
    the share is not known."""
    counts = dataset.class_counts
    if counts is None or top1 >= (share := max(counts) / sum(counts)):
        return None
    name = shown(dataset.class_names[int(np.argmax(counts))])
    return (
        f"top-1 of {top1:.1%} is worse than always naming the largest class, {name}, "
        f"with {share:.1%} of the training images: nothing is learned yet"
    )


def answers(model, dataset, batch_size=64, **transform):
    """What a model says of the validation images, batch by batch: uint8 images (batch,
    size, size, 3), int labels (batch,), scores (batch, classes). For an image with
    several labels, the one that the model predicts counts, else the first; images
    without labels are left out."""
    batches = dataset.validation_batches(
        model.input_shape[1], batch_size, pad=True, **transform
    )
    with naming_unreadable(dataset):
        for images, targets, weights in batches:
            images, targets = np.asarray(images), np.asarray(targets)
            scores = np.asarray(model.predict_on_batch(images))
            there = (np.asarray(weights) > 0) & (targets.max(axis=1) > 0)
            images, targets, scores = images[there], targets[there], scores[there]
            named = scores.argmax(axis=1)
            right = targets[np.arange(len(named)), named] > 0
            labels = np.where(right, named, (targets > 0).argmax(axis=1))
            yield images, labels, scores
