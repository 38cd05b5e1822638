"""Top-1 and top-5 against a plain loop, with padding and any number of labels."""

import csv

import keras
import numpy as np
import pytest

from keras_t2t.checkpoints import published_weights
from keras_t2t.cli.evaluation_report import write_per_class
from keras_t2t.training import accuracy


class Data:
    """What `check_classes` looks at."""

    name = "flowers"

    def __init__(self, *class_names):
        self.class_names = class_names


def by_hand(targets, scores, k):
    counts = np.zeros((3, targets.shape[1] + 1), int)
    for target, score in zip(targets, scores, strict=True):
        labels = set(np.flatnonzero(target))
        best = sorted(range(len(score)), key=lambda i: -score[i])
        right = 1, best[0] in labels, bool(labels & set(best[:k]))
        for column in (*labels, -1) if labels else ():
            counts[:, column] += right
    return counts


def test_counts_are_those_of_a_loop():
    random = np.random.default_rng(0)
    scores = random.normal(size=(60, 8)).astype("float32")
    targets = (random.random((60, 8)) < 0.15).astype("float32")
    assert (targets.sum(1) == 0).any() and (targets.sum(1) > 1).any()
    metric = accuracy.ClassAccuracy(8)
    for start in (0, 25, 50):  # the last batch has 15 of padding
        part = slice(start, start + 25)
        missing = 25 - len(scores[part])
        filled = [np.resize(c[part], (25, 8)) for c in (targets, scores)]
        metric.update_state(*filled, np.repeat([1.0, 0.0], [25 - missing, missing]))
    counts = keras.ops.convert_to_numpy(metric.counts).astype(int)
    np.testing.assert_array_equal(counts, by_hand(targets, scores, 5))
    assert float(metric.result()) == pytest.approx(counts[1, -1] / counts[0, -1])
    metric.reset_state()
    assert not keras.ops.convert_to_numpy(metric.counts).any()


def test_the_table_of_classes(tmp_path):
    """A folder's name is no formula there."""
    names = ["a", "b, c", "=HYPERLINK(1)", "+1", "-1", "@x", "a=b"]
    counts = np.array([[4, 0, 1, 1, 1, 1, 1, 9], [1] * 8, [3] * 8])
    write_per_class(tmp_path / "classes.csv", names, counts)
    with open(tmp_path / "classes.csv", encoding="utf-8") as file:
        header, first, second, *others = csv.reader(file)
    assert header == ["class", "images", "top1", "top5"]
    assert first == ["a", "4", "0.250000", "0.750000"]
    assert second == ["b, c", "0", "", ""]
    safe = ["'=HYPERLINK(1)", "'+1", "'-1", "'@x", "a=b"]
    assert [row[0] for row in others] == safe


def test_classes_must_be_those_of_the_weights():
    accuracy.check_classes(Data("rose", "tulip"), 2, ["rose", "tulip"], "runs/x")
    accuracy.check_classes(Data("n01", "n02"), 2, None, "x.pth")
    accuracy.check_classes(Data("08", "09", "10"), 3, None, "x.pth")
    for names, classes, known, message in (
        (("rose",), 2, None, "'flowers' has 1 classes, and 'x.pth' has 2"),
        (("rose",), None, None, "'x.pth' has no head"),
        (("10", "8", "9"), 3, None, "numbers whose order as text"),
        (("a", "c"), 2, ["a", "b"], "class 1 is 'c' in the data and 'b' in the wei"),
    ):
        with pytest.raises(ValueError, match=message):
            accuracy.check_classes(Data(*names), classes, known, "x.pth")


def test_more_than_a_tenth_of_a_point_off_is_a_miss():
    row = published_weights("imagenet", "T2TViT7")
    assert row.accuracy == (71.676, 90.886)
    assert accuracy.deviations(row, 71.60, 90.98) == []
    assert accuracy.deviations(row, 71.5, 90.9) == ["top-1 is 71.500, published 71.676"]
    assert len(accuracy.deviations(row, 0.1, 0.5)) == 2
    row = published_weights("cifar10", "T2TViT14")
    assert accuracy.deviations(row, 98.25, 12.0) == []  # its top-5 is not known
    (line,) = accuracy.deviations(row, 98.15, 99.0)
    assert line == "top-1 is 98.150, published 98.300"
