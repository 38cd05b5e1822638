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
    batches = dataset.validation_batches(
        model.input_shape[1], batch_size, pad=True, **transform
    )
    with naming_unreadable(dataset):
        for images, targets, weights in batches:
            scores = np.asarray(model.predict_on_batch(np.asarray(images)))
            there = np.asarray(weights) > 0
            labels = np.asarray(targets)[there].argmax(axis=1)
            np.add.at(counts, (labels, scores[there].argmax(axis=1)), 1)
    return counts


def costliest(counts):
    """The two classes of the most frequent confusion, as `(row, column, images)`; None
    where there is none."""
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return None
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return int(row), int(column), int(wrong[row, column])
