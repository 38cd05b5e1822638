"""Small runs, in this process and in others."""

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_t2t.preprocessing import pixel_model
from tests.examples.small_run import SIZE, write_run
from tests.processes import with_package
from tests.training import tiny

QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


@pytest.fixture
def tiny_run(monkeypatch, tmp_path):
    """Runs the small model in this process; returns its result."""
    from keras_t2t.training import TrainingConfig, run

    def train(
        drop=0.0, on_step=None, token_labelling=False, verbose=0, parts=None, **settings
    ):
        with monkeypatch.context() as patch:
            tiny.install(patch.setattr, drop, on_step, token_labelling=token_labelling)
            folder = {"output_dir": str(tmp_path / "run")}
            config = TrainingConfig(**{**tiny.SETTINGS, **folder, **settings})
            return run.train(config, verbose=verbose, **(parts or {}))

    return train


@pytest.fixture
def train(tiny_run):
    """Runs the small model with parts of one's own in this process."""

    def train(settings=None, on_step=None, **parts):
        settings = {"learning_rate": None, **(settings or {})}
        return tiny_run(drop=0.2, on_step=on_step, parts=parts, **settings)

    return train


@pytest.fixture
def start():
    """Starts the small run, or another script, in a process of its own."""
    started = []

    def start(*configs, script="tiny.py", launcher=(), **environment):
        path = Path(__file__).with_name(script)
        process = subprocess.Popen(
            [sys.executable, *launcher, path, *map(json.dumps, configs)],
            env=with_package({**QUIET, **environment}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def source(tmp_path):
    """A run folder with weights to start from."""
    folder = tmp_path / "source"
    write_run(folder, list("abcd"))
    model = pixel_model(tiny.build(0.0)(""), (SIZE, SIZE, 3), classes=4, drop_path=0.0)
    for name in ("final.keras", "final_ema.keras"):
        model.save(folder / name)
    model.save_weights(folder / "best.weights.h5")
    return str(folder)


def torchrun(count):
    """The arguments of Python that start a script in so many processes of torch."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    return [*launcher, "--master-port", str(free_port())]


def record(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def weights(folder, name="final.keras"):
    """{path: array} of a model that a run saved."""
    model = keras.saving.load_model(Path(folder) / name)
    return {weight.path: weight.numpy() for weight in model.weights}


def assert_close(arrays, expected, **tolerance):
    """Each array and its partner; without a tolerance to the last bit."""
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(one, other, **{"rtol": 0, **tolerance})


def history(folder):
    """The rows of a run's history, as numbers."""
    with open(Path(folder) / "history.csv", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
