"""Small runs, in this process and in others."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import tiny

ROOT = Path(__file__).parents[2]
QUIET = {
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


@pytest.fixture
def tiny_run(monkeypatch, tmp_path):
    """Runs the small model in this process; returns its result."""
    from keras_t2t.training import TrainingConfig, run

    def train(drop=0.0, on_step=None, token_labelling=False, **settings):
        with monkeypatch.context() as patch:
            tiny.install(patch.setattr, drop, on_step, token_labelling=token_labelling)
            folder = {"output_dir": str(tmp_path / "run")}
            config = TrainingConfig(**{**tiny.SETTINGS, **folder, **settings})
            return run.train(config, verbose=0)

    return train


@pytest.fixture
def start():
    """Starts the small run, or another script, in a process of its own."""
    started = []

    def start(*configs, script="tiny.py", launcher=(), **environment):
        process = subprocess.Popen(
            [sys.executable, *launcher, str(ROOT / "tests" / "training" / script)]
            + [json.dumps(config) for config in configs],
            env={**os.environ, **QUIET, **environment},
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


@pytest.fixture(scope="session")
def two_processes():
    """Within, this process is the first of two that torch knows of, and a script of
    this folder is started as the second."""

    @contextlib.contextmanager
    def two(name, *arguments):
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        group |= {"WORLD_SIZE": "2", "LOCAL_RANK": "0"}
        other = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "training" / name), *arguments],
            env={**os.environ, **QUIET, **group, "RANK": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in {**group, "RANK": "0"}.items():
                    patch.setenv(variable, value)
                yield other
        finally:
            other.kill()

    return two


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def history(folder):
    """The rows of a run's history, as numbers."""
    with open(Path(folder) / "history.csv", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
