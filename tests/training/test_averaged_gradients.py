"""torch: several processes make the steps of one on the whole batch. As a script, this
file is what each of the processes does."""

import json
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_t2t.training import TrainingConfig
from keras_t2t.training.distribution import connected
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.optimizer import adamw
from tests.processes import python
from tests.training.conftest import QUIET, torchrun

others = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the others have one process and model"
)
pytestmark = [pytest.mark.nightly, others]

STEPS, BATCH_SIZE = 6, 8
OVERFLOWS_AT = 3  # only in the last image
CASES = {
    "plain": {},
    "clipped": {"clip_norm": 0.1},
    "accumulated": {"accumulation": 2, "clip_norm": 0.1},
    "averaged weights": {"ema_decay": 0.9, "total_steps": 1000},
    "frozen": {},
    "float16": {"scale_loss": True, "clip_norm": 0.1},
}


def trained(case, devices):
    """The model after some steps on the rows that are this process's."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_float16" if case == "float16" else "float32")
    hidden = [keras.layers.Dense(16, "tanh") for _ in range(2)]
    head = keras.layers.Dense(4, name="head")
    model = keras.Sequential([keras.Input((8,)), *hidden, head])
    keras.config.set_dtype_policy("float32")
    model.layers[0].trainable = case != "frozen"
    model.compile(
        adamw(model, 1e-2, 0.05, **CASES[case]),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        auto_scale_loss=False,
    )
    devices.prepare(model)
    random = np.random.default_rng(0)
    process, processes = devices.shard
    part = BATCH_SIZE // processes
    mine = slice(process * part, (process + 1) * part)
    for step in range(STEPS):
        images = random.normal(size=(BATCH_SIZE, 8)).astype("float32")
        labels = np.eye(4, dtype="float32")[random.integers(4, size=BATCH_SIZE)]
        if case == "float16" and step == OVERFLOWS_AT:
            images[-1] = np.inf
        model.train_on_batch(images[mine], labels[mine])
    return model


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable).tolist() for variable in variables]


def sums(model):
    """How many collective sums one step makes."""
    from torch.profiler import profile

    batch = np.ones((2, 8), "float32"), np.eye(4, dtype="float32")[:2]
    with profile() as profiled:
        model.train_on_batch(*batch)
    return sum(event.name == "c10d::allreduce_" for event in profiled.events())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes had in the end."""
    folder = tmp_path_factory.mktemp("two")
    done = python(*torchrun(2), __file__, folder, **QUIET)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("case", CASES)
def test_the_steps_are_those_of_one_process(two, case):
    model = trained(case, Devices())
    if case == "float16":  # there was an overflow, to which all processes must agree
        assert model.optimizer.dynamic_scale == model.optimizer.initial_scale / 2
    one = state(model)
    assert two[0][case] == two[1][case]
    # float16 rounds the activations of each half batch's mean; both add up otherwise.
    tolerance = 2e-3 if case == "float16" else 1e-5
    for value, expected in zip(two[0][case], one, strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


def test_gradients_are_added_up_in_buckets(two):
    """One for the six weights, which are small."""
    assert two[0]["sums"] == two[1]["sums"] == 1


def test_after_a_resume_each_process_has_its_share_of_the_metrics():
    """So the steps before it count as much as those after."""
    from keras_t2t.training.distribution.torch import TorchProcesses

    mean = keras.metrics.Mean()
    count, total = keras.Variable(7, trainable=False, dtype="int32"), 0
    counted = [*mean.variables, count]
    model = types.SimpleNamespace(metrics_variables=counted, variables=[])
    for process in range(4):
        mean.reset_state()
        count.assign(7)
        mean.update_state(3.0, sample_weight=400)  # of all of them
        devices = TorchProcesses.__new__(TorchProcesses)
        devices.process, devices.processes = process, 4
        devices.separate(model)
        assert (float(mean.count), float(mean.result())) == (100, 3)
        total += int(count)
    assert total == 7  # of an integer nothing is lost


if __name__ == "__main__":
    with connected(TrainingConfig(host_timeout=300)) as devices:
        models = {case: trained(case, devices) for case in CASES}
        found = {case: state(model) for case, model in models.items()}
        found["sums"] = sums(models["plain"])
        Path(sys.argv[1], f"{devices.process}.json").write_text(json.dumps(found))
