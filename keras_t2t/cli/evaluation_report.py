"""The report that `evaluate` writes: tables, the confusion matrix, the mistakes."""

import heapq
import json
from pathlib import Path

from keras_t2t._ground.files import replacing, write_table
from keras_t2t._ground.run_files import SUMMARY

PER_CLASS, CONFUSION = "per_class.csv", "confusion.csv"
MATRIX, MISTAKES = "confusion.png", "mistakes.png"
FILES = SUMMARY, PER_CLASS, CONFUSION, MATRIX, MISTAKES
KEPT = 25  # of the mistakes


def write_report(folder, result, counts, model, dataset, batch_size, **transform):
    """Writes the files into a folder, which replaces the one there; returns why there
    are no pictures, which need matplotlib, else None.

    `result` is the accuracy over all images, and `counts` what `accuracy.measure`
    found; the others are arguments of `accuracy.answers`, which runs the model once
    more.
    """
    from keras_t2t.visualization import figures

    names = list(dataset.class_names)
    matrix, mistakes = confusions(model, dataset, batch_size, **transform)
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_per_class(temporary / PER_CLASS, names, counts)
        rows = ([name, *row] for name, row in zip(names, matrix, strict=True))
        write_table(temporary / CONFUSION, [["class", *names], *rows])
        (temporary / SUMMARY).write_text(json.dumps(result, indent=2) + "\n")
        try:
            figure = figures.confusion_figure(matrix, names)
            figures.save_figure(figure, temporary / MATRIX)
            if mistakes:
                figure = figures.mistakes_figure(mistakes, names)
                figures.save_figure(figure, temporary / MISTAKES)
        except ImportError as error:
            return str(error)
    return None


def confusions(model, dataset, batch_size=64, **transform):
    """Runs a model on the validation images, as `accuracy.answers` does.

    Returns:
        `(counts, mistakes)`: the confusion matrix, an int array (classes, classes) of
        the images of the row's class that the model assigns to the column's; and the
        wrongly classified images on which the model is surest.
    """
    import numpy as np

    from keras_t2t.training.accuracy import answers

    counts = np.zeros((dataset.num_classes, dataset.num_classes), "int64")
    worst = []  # a heap, the least of them first
    place = 0
    for images, labels, scores in answers(model, dataset, batch_size, **transform):
        said = scores.argmax(axis=1)
        np.add.at(counts, (labels, said), 1)
        exponents = np.exp(scores.astype("float64") - scores.max(axis=1, keepdims=True))
        sure = 1 / exponents.sum(axis=1)  # the softmax of the greatest
        for i in np.flatnonzero(said != labels):
            row = sure[i], -(place + i), images[i].copy(), labels[i], said[i]
            (heapq.heappush if len(worst) < KEPT else heapq.heappushpop)(worst, row)
        place += len(labels)
    return counts, [
        {"probability": p, "image": image, "label": label, "said": answer}
        for p, _, image, label, answer in sorted(worst, key=lambda row: row[:2])[::-1]
    ]


def write_per_class(path, names, counts):
    """Writes a CSV with a row per class: name, images, top-1 and top-5 as fractions,
    which are empty where there is no image."""
    rows = [["class", "images", "top1", "top5"]]
    for name, (images, *right) in zip(names, counts.T, strict=False):
        shares = [f"{number / images:.6f}" if images else "" for number in right]
        rows.append([name, images, *shares])
    write_table(path, rows)
