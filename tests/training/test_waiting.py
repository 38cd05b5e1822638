"""A run says once when it waits for its data, and only then."""

import pytest

from keras_t2t import data
from keras_t2t.training import waiting as module
from keras_t2t.training.waiting import WaitingForData
from tests.data import streams


def lines(monkeypatch, wait, compute, steps=60):
    """What is said of steps that wait and compute for so many seconds."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    said = []
    callback = WaitingForData(said.append)
    for step in range(steps):
        callback.on_train_batch_begin(step)
        now[0] += wait if step else 100.0  # the first fills the buffers
        callback.delivered()
        now[0] += compute
        callback.on_train_batch_end(step)
    return said


def test_it_is_said_once(monkeypatch):
    [line] = lines(monkeypatch, wait=0.4, compute=0.6)
    assert line.startswith("input: 40% of the time goes by waiting for images. More")


@pytest.mark.parametrize(
    ("wait", "compute", "steps"), [(0.1, 0.9, 60), (0.4, 0.6, 10), (0.01, 0.01, 60)]
)
def test_it_is_not_said_of_little_or_too_early(monkeypatch, wait, compute, steps):
    assert lines(monkeypatch, wait, compute, steps) == []


@pytest.mark.parametrize("reader", ["tensorflow", "grain"])
def test_it_hears_of_each_batch(tmp_path, reader):
    from PIL import Image

    for split in ("train", "val"):
        for name in ("red", "blue"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (20, 20), name).save(tmp_path / split / name / "1.png")
    dataset = data.open_dataset(data_dir=tmp_path, reader=reader)
    handed_over = []
    plain = dataset.train_batches(16, 2, 0)
    watched = dataset.watched(plain, lambda: handed_over.append(1))
    streams.assert_same(streams.batches(watched, 3), streams.batches(plain, 3))
    assert len(handed_over) >= 3
