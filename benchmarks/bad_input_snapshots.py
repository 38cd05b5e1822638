"""Snapshots of a run, cut short or with changed bits.

The newest of two is damaged. Resuming takes it where it holds the very same state, else
the one before, and never stops with an error.
"""

import warnings

import numpy as np

from benchmarks.bad_input_harness import RIGHT, WRONG, Case

COUNTS = {
    "cut": 2000,
    "flipped bit": 3000,
    "flipped bit in a header": 1000,
    "zeroed": 200,
}
FACTS = {"history": [{"loss": 0.5, "val_top1": 0.1}], "config": {"run": "this"}}


def cases(fraction):
    step = max(1, round(1 / fraction))
    return [
        Case(kind, str(number))
        for kind, count in COUNTS.items()
        for number in range(0, count, step)
    ]


def arrays(step):
    rng = np.random.default_rng(step)
    shapes = [(64, 48), (48,), (3, 3, 16), (), (1000,)]
    state = {
        f"model/{i}": rng.normal(size=s).astype("f4") for i, s in enumerate(shapes)
    }
    return state | {
        "optimizer/0": np.array(step, "int64"),
        "generator/0": np.array([7, 8], "uint32"),
    }


def prepare(folder):
    from keras_t2t.training.snapshots import Snapshots

    for step in (1, 2):
        Snapshots(folder / "snapshots").save(step, arrays(step), FACTS)


def start(folder):
    from keras_t2t.training.snapshots import Snapshots

    snapshots = Snapshots(folder / "snapshots")
    path = snapshots.paths()[-1]
    original = path.read_bytes()
    headers = [i for i in range(len(original)) if in_header(original, i)]

    def attempt(case):
        rng = np.random.default_rng([len(case.kind), int(case.name)])
        data = bytearray(original)
        match case.kind:
            case "cut":
                data = data[: rng.integers(len(data))]
            case "flipped bit":
                data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            case "flipped bit in a header":
                data[rng.choice(headers)] ^= 1 << rng.integers(8)
            case "zeroed":
                at = rng.integers(len(data))
                data[at : at + 512] = bytes(len(data[at : at + 512]))
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = next(snapshots.readable("this"), None)
        if found is None:
            return WRONG
        expected = arrays(found.facts["step"])
        same = found.arrays.keys() == expected.keys() and all(
            np.array_equal(found.arrays[name], expected[name]) for name in expected
        )
        facts = {name: found.facts[name] for name in FACTS}
        return RIGHT if same and facts == FACTS else WRONG

    return attempt


def in_header(data, index):
    """Whether a byte lies near one of the zip's or NumPy's own records."""
    around = bytes(data[max(0, index - 100) : index + 1])
    return any(mark in around for mark in (b"PK\x01\x02", b"PK\x03\x04", b"\x93NUMPY"))
