"""The confusion matrix of a model."""

import numpy as np

from keras_t2t.data.opening import naming_unreadable


def confusion_matrix(model, dataset, batch_size=64, **transform):
    """Counts what a model says of the validation images.

    Args:
        model: a `keras.Model` for pixels 0..255 of square images, which gives logits
            or probabilities.
        dataset: what `keras_t2t.data.open_dataset` returns, an image with one label.
        batch_size: int.
        **transform: `crop` and `interpolation` of `dataset.validation_batches`.

    Returns:
        int array (classes, classes): images of the row's class that the model takes
        for the column's.

    Raises:
        ValueError: an image cannot be read.
    """
    counts = np.zeros((dataset.num_classes, dataset.num_classes), "int64")
    for _, labels, scores in answers(model, dataset, batch_size, **transform):
        np.add.at(counts, (labels, scores.argmax(axis=1)), 1)
    return counts


def answers(model, dataset, batch_size=64, **transform):
    """What a model says of the validation images, batch by batch.

    Args:
        model, dataset, batch_size, **transform: as of `confusion_matrix`. Of an image
            with several labels the one that the model names counts, else the first;
            one without any is left out.

    Yields:
        `(images, labels, scores)`: uint8 array (batch, size, size, 3), int array
        (batch,), float array (batch, classes).

    Raises:
        ValueError: an image cannot be read.
    """
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


def costliest(counts):
    """The two classes of the most frequent confusion, as `(row, column, images)`; None
    where there is none."""
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return None
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return int(row), int(column), int(wrong[row, column])
