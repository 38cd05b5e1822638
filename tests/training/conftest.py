"""Small runs, in this process and in others."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny_run(monkeypatch, tmp_path):
    """Runs the small model in this process; returns its result."""
    from keras_t2t.training import TrainingConfig, run

    def train(drop=0.0, on_step=None, **settings):
        with monkeypatch.context() as patch:
            tiny.install(patch.setattr, drop, on_step)
            folder = {"output_dir": str(tmp_path / "run")}
            config = TrainingConfig(**{**tiny.SETTINGS, **folder, **settings})
            return run.train(config, verbose=0)

    return train


@pytest.fixture
def start():
    """Starts the small run in a process of its own."""
    started = []

    def start(*configs, launcher=(), **environment):
        process = subprocess.Popen(
            [sys.executable, *launcher, str(ROOT / "tests" / "training" / "tiny.py")]
            + [json.dumps(config) for config in configs],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "OMP_NUM_THREADS": "1",
                "PYTHONWARNINGS": "ignore",
                **environment,
            },
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


def history(folder):
    """The rows of a run's history, as numbers."""
    with open(Path(folder) / "history.csv", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
