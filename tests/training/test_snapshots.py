"""Snapshot files: whole or not there, the last ones kept, damage passed over."""

import json

import keras
import numpy as np
import pytest

from keras_t2t.training import snapshots as module
from keras_t2t.training import state

ARRAYS = {"model/0": np.arange(1000, dtype="float32")}
METADATA = {"history": [{"loss": 0.5}], "config": {"run": "this"}}


def saved(folder, steps=(1, 2, 3), kept=2):
    snapshots = module.Snapshots(folder)
    for step in steps:
        snapshots.save(step, ARRAYS, METADATA, kept)
    return snapshots


def newest(snapshots):
    return next(snapshots.readable("this"), None)


DAMAGES = {
    "truncated": lambda data: data[:-200],
    "empty": lambda data: b"",
    "a byte flipped": lambda data: data[:999] + bytes([data[999] ^ 1]) + data[1000:],
}
SOUND = {"format": 1, "step": 3, "history": [], "config": {}}
ODD_FACTS = {
    "of another format": {"format": 99},
    "a list": [1, 2],
    "incomplete": {"format": 1},
    "a step of text": {**SOUND, "step": "3"},
    "a history of numbers": {**SOUND, "history": [7]},
    "no configuration": {**SOUND, "config": None},
}


@pytest.mark.parametrize("case", [*DAMAGES, *ODD_FACTS, "no UTF-8", "pickled", "NaN"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, case):
    snapshots = saved(tmp_path)
    path = snapshots.paths()[-1]
    if case in DAMAGES:
        path.write_bytes(DAMAGES[case](path.read_bytes()))
    else:
        text = json.dumps(ODD_FACTS.get(case, {**SOUND, **METADATA})).encode()
        metadata = np.frombuffer(b"\xff" if case == "no UTF-8" else text, "uint8")
        if case == "pickled":
            metadata = np.array([SOUND], dtype=object)
        bad = {"model/0": np.array([1, np.nan])} if case == "NaN" else {}
        np.savez(path, **{**ARRAYS, **bad, module.METADATA: metadata})
    with pytest.warns(UserWarning, match=r"step-000000003.npz is damaged"):
        assert newest(snapshots).metadata["step"] == 2


def test_the_last_ones_are_kept_and_what_is_not_finite_is_not_saved(tmp_path):
    snapshots = saved(tmp_path, steps=range(1, 12), kept=3)
    bad = {**ARRAYS, "optimizer/1": np.array([0, np.inf], "float32")}
    told = r"after step 12 is not saved: optimizer/1 .*step-000000011.npz"
    with pytest.raises(FloatingPointError, match=told):
        snapshots.save(12, bad, METADATA)
    assert [int(path.stem[5:]) for path in snapshots.paths()] == [9, 10, 11]


@pytest.mark.every_backend
def test_numbers_of_16_bits_come_back(tmp_path):
    dense = keras.layers.Dense(2, dtype="bfloat16")
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 2)))
    before = keras.ops.convert_to_numpy(dense.kernel)
    snapshots = module.Snapshots(tmp_path)
    snapshots.save(1, state.collect(model), METADATA)
    dense.kernel.assign(np.zeros((2, 2)))
    state.restore(model, newest(snapshots).arrays)
    assert (keras.ops.convert_to_numpy(dense.kernel) == before).all()
    dense.kernel.assign(np.full((2, 2), np.nan))
    with pytest.raises(FloatingPointError, match="not finite"):
        snapshots.save(2, state.collect(model), METADATA)
