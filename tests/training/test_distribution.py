"""One run on several devices or in several processes is the run on one."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_t2t.training import TrainingConfig
from keras_t2t.training.distribution.devices import Devices
from tests.training import recipe
from tests.training.conftest import ROOT, free_port, history

BACKEND = keras.backend.backend()
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="for JAX")
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="for TensorFlow")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="for torch")

NO_DEVICES = {
    **{"devices": None, "coordinator": None, "batch_size": None},
    **{"resume": False, "output_dir": None},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    recipe.write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def one(photographs, tmp_path_factory):
    """The folder of the run on one device, in this process."""
    folder = tmp_path_factory.mktemp("one") / "run"
    recipe.train(data_dir=str(photographs), output_dir=str(folder))
    return folder


def finish(*processes):
    """The last result that they print."""
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    lines = [line for output, _ in outputs for line in output.splitlines()]
    return json.loads([line for line in lines if line.startswith("{")][-1])


def check_same(folder, reference):
    """The same images and targets, exactly, and the same losses, to what float32 sums
    in another order may differ; of every step, and after every epoch."""
    parts, whole = seen(folder), seen(reference)
    for name in ("images", "targets"):
        together = np.concatenate([part[name] for part in parts], axis=1)
        np.testing.assert_array_equal(together, whole[0][name], name)
    losses = np.mean([part["losses"] for part in parts], axis=0)
    np.testing.assert_allclose(losses, whole[0]["losses"], rtol=0, atol=1e-4)
    assert np.ptp(losses) > 0.01
    check_same_history(folder, reference)


def seen(folder):
    return [np.load(path) for path in sorted(folder.glob("process-*.npz"))]


def check_same_history(folder, reference):
    rows, expected = history(folder), history(reference)
    assert len(rows) == len(expected)
    for row, one in zip(rows, expected, strict=True):
        for name in ("loss", "val_loss", "val_loss_ema"):
            assert row[name] == pytest.approx(one[name], abs=1e-4), name
        for name in ("top1", "val_top1", "val_top1_ema", "val_top5"):
            assert row[name] == pytest.approx(one[name], abs=1e-6), name


@pytest.mark.skipif(BACKEND == "torch", reason="one process per device with torch")
@pytest.mark.nightly
@pytest.mark.parametrize("count", [2, 4])
def test_devices_of_one_host(one, photographs, start, tmp_path, count):
    devices = "--xla_force_host_platform_device_count=4"
    flags = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {devices}"}
    config = {"data_dir": str(photographs), "output_dir": str(tmp_path / "run")}
    finish(start({**config, "devices": count}, script="recipe.py", **flags))
    check_same(tmp_path / "run", one)


@only_torch
@pytest.mark.nightly
def test_two_torch_processes(one, photographs, two_processes, tmp_path):
    config = {"data_dir": str(photographs), "output_dir": str(tmp_path / "run")}
    with two_processes("recipe.py", json.dumps(config)) as other:
        assert recipe.train(**config)["epochs"] == 2
        other.communicate(timeout=300)
    assert other.returncode == 0
    assert len(seen(tmp_path / "run")) == 2
    check_same(tmp_path / "run", one)


@only_torch
@pytest.mark.nightly
def test_four_torch_processes(one, photographs, start, tmp_path):
    config = {"data_dir": str(photographs), "output_dir": str(tmp_path / "run")}
    finish(start(config, script="recipe.py", launcher=torchrun(4)))
    assert len(seen(tmp_path / "run")) == 4
    check_same(tmp_path / "run", one)


@only_jax
@pytest.mark.nightly
def test_two_jax_processes(one, photographs, start, tmp_path):
    config = {"data_dir": str(photographs), "output_dir": str(tmp_path / "run")}
    assert finish(*start_two(start, config, script="recipe.py"))["epochs"] == 2
    assert len(seen(tmp_path / "run")) == 2
    check_same(tmp_path / "run", one)


@pytest.mark.nightly
@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow refuses it")
def test_two_processes_of_which_one_is_terminated(start, tmp_path):
    """Both stop at the same step, with the same status, and one tells of it; resumed,
    they end as two that were let alone. Every process takes part in the snapshots, one
    keeps them."""
    twenty_steps = {"epochs": 5, "steps_per_epoch": 4}
    config = {"output_dir": str(tmp_path / "two"), "resume": True, **twenty_steps}
    lines = terminated(start_both(start, config, [{}, {"SIGNAL": "15@8"}]))
    assert len(lines) == 1
    assert "stopped by SIGTERM, saved after step 12; go on with: " in lines[0]
    snapshots = sorted((tmp_path / "two" / "snapshots").iterdir())
    assert snapshots[-1].name == "step-000000012.npz"  # the end of an epoch
    result = finish(*start_two(start, config))
    assert result["epochs"] == 5
    finish(*start_two(start, {**config, "output_dir": str(tmp_path / "run")}))
    check_same_history(tmp_path / "two", tmp_path / "run")


@pytest.mark.nightly
@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow refuses it")
def test_one_of_two_processes_is_terminated_before_the_first_step(start, tmp_path):
    """The other one, which then waits in vain, ends with an error."""
    config = {"output_dir": str(tmp_path / "run"), "host_timeout": 10}
    other, process = start_both(start, config, [{}, {"SIGNAL": "15@0"}])
    [line] = terminated([process])
    assert "stopped by SIGTERM, before the first step" in line
    other.communicate(timeout=60)
    assert other.returncode not in (0, None)


@only_torch
@pytest.mark.nightly
def test_torchrun_passes_signals_on(start, tmp_path):
    config = {"output_dir": str(tmp_path / "run"), "epochs": 1000}
    process = start(config, launcher=torchrun(2))
    while not list(tmp_path.glob("run/snapshots/*.npz")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    [line] = [line for line in errors.splitlines() if line.startswith("tiny.py: ")]
    assert "stopped by SIGINT, saved after step" in line
    assert "; go on with: torchrun ... " in line


def terminated(processes):
    """The lines that they print of it."""
    lines = []
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM, errors[-3000:]
        lines += errors.splitlines()
    return [line for line in lines if "stopped by SIGTERM" in line]


def start_two(start, config, **environment):
    if BACKEND == "torch":
        return [start(config, launcher=torchrun(2), **environment)]
    return start_both(start, config, [environment, environment])


def torchrun(count):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    return [*launcher, "--master-port", str(free_port())]


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow refuses it")
@pytest.mark.nightly
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_ends_the_other(start, tmp_path, victim):
    """In the middle of the steps; it waits in vain, and no longer than it was told."""
    config = {"output_dir": str(tmp_path / "run"), "host_timeout": 10}
    kill = {"SIGNAL": "9@3"}
    processes = start_both(start, config, [kill if i == victim else {} for i in (0, 1)])
    assert processes[victim].wait(timeout=300) == -signal.SIGKILL
    processes[1 - victim].communicate(timeout=60)
    assert processes[1 - victim].returncode not in (0, None)


def start_both(start, config, environments):
    """Both processes, each with its own environment."""
    port = str(free_port())
    if BACKEND == "torch":
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [
            start(config, RANK=str(process), LOCAL_RANK="0", **group, **environment)
            for process, environment in enumerate(environments)
        ]
    group = {"coordinator": f"127.0.0.1:{port}", "num_processes": 2}
    return [
        start({**config, **group, "process_id": process}, **environment)
        for process, environment in enumerate(environments)
    ]


@only_torch
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_does_not_come(tiny_run, monkeypatch, tmp_path, rank):
    port = str(free_port())
    set_torch_group(monkeypatch, rank, port)
    message = rf"the 2 processes did not meet at 127\.0\.0\.1:{port} within 2 s: "
    with pytest.raises(ValueError, match=message):
        tiny_run(host_timeout=2)
    assert not (tmp_path / "run").exists()


@only_jax
@pytest.mark.nightly
@pytest.mark.parametrize("rank", [0, 1])
def test_jax_ends_a_process_that_is_left_alone(start, tmp_path, rank):
    """With a message of its own."""
    config = {"output_dir": str(tmp_path / "run"), "host_timeout": 2}
    config |= {"coordinator": f"127.0.0.1:{free_port()}", "num_processes": 2}
    process = start({**config, "process_id": rank})
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and "DEADLINE_EXCEEDED" in errors
    assert not (tmp_path / "run").exists()


@only_torch
@pytest.mark.nightly
def test_torchrun_can_be_told_how_long_it_waits(start):
    """Where it waits itself, before it starts a process; as docs/training.md says."""
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--rdzv-backend"]
    launcher += ["c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    launcher += ["--rdzv-conf", "join_timeout=3,read_timeout=3"]
    process = start({}, launcher=launcher)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "RendezvousTimeoutError" in errors


def set_torch_group(monkeypatch, rank, port):
    group = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in group.items():
        monkeypatch.setenv(name, value)


def test_a_batch_that_cannot_be_divided():
    devices = Devices()
    devices.count = 3
    config = TrainingConfig(batch_size=8).with_defaults("digits", 10)
    with pytest.raises(ValueError, match=r"divisible by their number, 3, got 8"):
        devices.check(config)


@only_torch
def test_torch_is_started_by_torchrun(tiny_run):
    with pytest.raises(ValueError, match=r"devices=2: with torch, .*torchrun"):
        tiny_run(devices=2)


@only_jax
def test_jax_names_what_is_missing(tiny_run):
    with pytest.raises(ValueError, match="num_processes and process_id need coord"):
        tiny_run(num_processes=2)
    with pytest.raises(ValueError, match="needs num_processes and process_id too"):
        tiny_run(coordinator="127.0.0.1:1")
    with pytest.raises(
        ValueError, match=r"devices=1: choosing fewer works on one host"
    ):
        tiny_run(coordinator="127.0.0.1:1", num_processes=2, process_id=0, devices=1)
    with pytest.raises(ValueError, match=r"devices=2: this host has 1"):
        tiny_run(devices=2)


@only_tensorflow
def test_tensorflow_refuses_several_hosts(tiny_run, monkeypatch):
    with pytest.raises(ValueError, match=r"#20585.*jax.*torch"):
        tiny_run(coordinator="127.0.0.1:1")
    cluster = {"cluster": {"worker": ["10.0.0.1:1", "10.0.0.2:1"]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(ValueError, match=r"TF_CONFIG names several.*#20585"):
        tiny_run()


@only_tensorflow
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"gradient_accumulation": 2}, "cannot accumulate on 2 devices"),
        pytest.param(
            {"clip_norm": 1.0},
            "clips each of 2 devices for itself",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_tensorflow_refuses_what_keras_does_wrong(start, tmp_path, setting, message):
    config = {"devices": 2, "output_dir": str(tmp_path / "run"), **setting}
    process = start(config)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert message in errors.strip().splitlines()[-1]


MULTI_WORKER = """
import json, os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CONFIG"] = json.dumps({
    "cluster": {"worker": sys.argv[2:]},
    "task": {"type": "worker", "index": int(sys.argv[1])},
})
import keras, numpy as np, tensorflow as tf
with tf.distribute.MultiWorkerMirroredStrategy().scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
data = tf.data.Dataset.from_tensors((np.ones((4, 4)), np.ones((4, 1)))).repeat(2)
model.fit(data, verbose=0)
"""


@only_tensorflow
@pytest.mark.nightly
def test_keras_still_cannot_train_tensorflow_across_hosts(tmp_path):
    """When this fails Keras has mended #20585: then let TensorFlowDevices use it."""
    script = tmp_path / "multi_worker.py"
    script.write_text(MULTI_WORKER)
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    workers = [
        subprocess.Popen(
            [sys.executable, script, str(index), *addresses],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        errors = [worker.communicate(timeout=90)[1] for worker in workers]
    except subprocess.TimeoutExpired:
        return  # it hangs: not mended either
    finally:
        for worker in workers:
            worker.kill()
    assert all(worker.returncode != 0 for worker in workers), errors
    assert any("Error" in error for error in errors)


@only_jax
@pytest.mark.parametrize(
    ("settings", "devices"),
    [
        ({}, "8"),
        pytest.param({"batch_size": 12}, "4", marks=pytest.mark.nightly),
        pytest.param(
            {"resume": True, "output_dir": "run"}, "2", marks=pytest.mark.nightly
        ),
        pytest.param({"devices": 3}, "3", marks=pytest.mark.nightly),
        pytest.param({"coordinator": "auto"}, "1", marks=pytest.mark.nightly),
    ],
)
def test_a_cpu_becomes_several_devices(settings, devices, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"batch_size": 10}')
    code = (
        "import os; os.sched_getaffinity = lambda process: range(11)\n"
        "from keras_t2t.training.distribution import one_device_per_core\n"
        f"one_device_per_core({ {**NO_DEVICES, **settings} })\n"
        "import jax; print(jax.device_count())\n"
        f"one_device_per_core({NO_DEVICES})  # too late\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == devices
