"""Top-1 and top-5 against a plain loop, with padding and any number of labels."""

import csv
import types

import keras
import numpy as np
import pytest

from keras_t2t.checkpoints.registry import published_weights
from keras_t2t.cli.evaluation_report import write_per_class
from keras_t2t.training import accuracy


def data(*class_names):
    """What `check_classes` looks at."""
    return types.SimpleNamespace(name="flowers", class_names=class_names)


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


def test_the_table_of_classes(tmp_path):
    """A folder's name is no formula there. The numbers are in test_evaluate.py."""
    names = ["b, c", "=HYPERLINK(1)", "+1", "-1", "@x", "a=b"]
    write_per_class(tmp_path / "x.csv", names, np.array([[0] + [1] * 6] * 3))
    _, first, *others = csv.reader((tmp_path / "x.csv").read_text().splitlines())
    assert first == ["b, c", "0", "", ""]
    safe = ["'=HYPERLINK(1)", "'+1", "'-1", "'@x", "a=b"]
    assert [row[0] for row in others] == safe


def test_what_cannot_be_the_classes_of_the_weights():
    """Other numbers and names of classes are in test_teaching.py."""
    accuracy.check_classes(data("08", "09", "10"), 3, None, "x.pth")
    with pytest.raises(ValueError, match="numbers whose order as text"):
        accuracy.check_classes(data("10", "8", "9"), 3, None, "x.pth")
    with pytest.raises(ValueError, match=r"'x\.pth' has no head"):
        accuracy.check_classes(data("rose"), None, None, "x.pth")
    # An accent as macOS writes it; and a letter that looks like another.
    accuracy.check_classes(data("a\u0308", "b"), 2, ["\xe4", "b"], "RUN")
    with pytest.raises(ValueError, match=r"1 is '\\u0430' in the data and 'a' in"):
        accuracy.check_classes(data("a\u0308", "\u0430"), 2, ["\xe4", "a"], "RUN")


def test_a_top5_more_than_a_tenth_of_a_point_off_is_a_miss():
    """Of top-1, tests/examples/test_evaluate.py tells."""
    row = published_weights("imagenet", "T2TViT7")
    assert row.accuracy == (71.676, 90.886)
    assert accuracy.deviations(row, 71.6, 90.98) == []
    assert accuracy.deviations(row, 71.6, 90.7) == ["top-5 is 90.700, published 90.886"]
