"""Snapshot files: whole or not there, the last ones kept, damage passed over."""

import json

import numpy as np
import pytest

from keras_t2t.training import snapshots as module
from keras_t2t.training.snapshots import Snapshots

ARRAYS = {
    "model/0": np.arange(1000, dtype="float32"),
    "model/1": np.array([7, 8], "uint32"),
    "optimizer/0": np.array(3),
}
FACTS = {"history": [{"loss": 0.5}], "config": {"run": "this"}}


def saved(folder, steps=(1, 2, 3), kept=2):
    snapshots = Snapshots(folder, kept)
    for step in steps:
        snapshots.save(step, ARRAYS, FACTS)
    return snapshots


def newest(snapshots):
    return next(snapshots.readable("this"), None)


def test_what_was_saved_comes_back(tmp_path):
    snapshot = newest(saved(tmp_path))
    assert snapshot.facts == {"format": 1, "step": 3, **FACTS}
    assert snapshot.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert snapshot.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(snapshot.arrays[name], array)


def test_the_last_ones_are_kept(tmp_path):
    snapshots = saved(tmp_path, steps=range(1, 12), kept=3)
    steps = [int(path.stem.partition("-")[2]) for path in snapshots.paths()]
    assert steps == [9, 10, 11]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def of_another_format(path):
    np.savez(path, **{module.FACTS: np.frombuffer(b'{"format": 99}', "uint8")})


def pickled(path):
    np.savez(path, **{module.FACTS: np.array([{"format": 1}], dtype=object)})


def with_facts(text):
    def rewrite(path):
        np.savez(path, **ARRAYS, **{module.FACTS: np.frombuffer(text, "uint8")})

    return rewrite


def not_finite(path):
    facts = {"format": 1, "step": 3, **FACTS}
    text = np.frombuffer(json.dumps(facts).encode(), "uint8")
    np.savez(path, **{module.FACTS: text, "model/0": np.array([1, np.nan])})


ODD_FACTS = [
    with_facts(b"[1, 2]"),
    with_facts(b"\xff"),
    with_facts(b'{"format": 1}'),
    with_facts(b'{"format": 1, "step": "3", "history": [], "config": {}}'),
    with_facts(b'{"format": 1, "step": 3, "history": [7], "config": {}}'),
    with_facts(b'{"format": 1, "step": 3, "history": [], "config": null}'),
    not_finite,
]


@pytest.mark.parametrize(
    "damage",
    [truncate, empty, flip_a_byte, of_another_format, pickled, *ODD_FACTS],
)
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, damage):
    snapshots = saved(tmp_path)
    damage(snapshots.paths()[-1])
    with pytest.warns(UserWarning, match=r"step-000000003.npz is damaged"):
        assert newest(snapshots).facts["step"] == 2


def test_one_of_another_run_is_passed_over(tmp_path):
    snapshots = saved(tmp_path)
    snapshots.save(9, ARRAYS, {**FACTS, "config": {"run": "another"}})
    with pytest.warns(UserWarning, match=r"step-000000009.npz is of another run"):
        assert newest(snapshots).facts["step"] == 3


def test_no_file_is_no_snapshot(tmp_path):
    assert newest(Snapshots(tmp_path / "none")) is None


def test_what_is_not_finite_is_not_saved(tmp_path):
    snapshots = saved(tmp_path)
    bad = {**ARRAYS, "optimizer/1": np.array([0, np.inf], "float32")}
    with pytest.raises(
        FloatingPointError,
        match=r"after step 4 is not saved: optimizer/1 .*step-000000003.npz",
    ):
        snapshots.save(4, bad, FACTS)
    assert len(snapshots.paths()) == 2
