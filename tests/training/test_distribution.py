"""One run on several devices or in several processes is the run on one."""

import json
import platform
import re
import signal
import time
from types import SimpleNamespace

import keras
import pytest

import keras_t2t
from keras_t2t.data.dataset import Validation
from keras_t2t.training import TrainingConfig
from keras_t2t.training.distribution import connected
from keras_t2t.training.distribution.devices import Devices
from tests.processes import python
from tests.training import recipe, tiny
from tests.training.conftest import assert_close, free_port, history, torchrun
from tests.training.test_resuming import compare

BACKEND = keras.backend.backend()
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="for JAX")
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="for TensorFlow")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="for torch")
not_tensorflow = pytest.mark.skipif(BACKEND == "tensorflow", reason="it refuses it")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A run's settings; what each shard reads is in tests/data/test_image_folder.py."""
    folder = tmp_path_factory.mktemp("photographs")
    recipe.write_photographs(folder)
    return {"data_dir": str(folder)}


@pytest.fixture(scope="module")
def one(photographs, tmp_path_factory):
    """The folder of the run on one device, in this process."""
    folder = tmp_path_factory.mktemp("one") / "run"
    recipe.train(**photographs, output_dir=str(folder))
    return folder


def finish(*processes, devices=2):
    """Waits until all have ended well; so many devices did the run."""
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    assert f" on {devices} devices, " in "".join(output for output, _ in outputs)


@pytest.mark.skipif(BACKEND == "torch", reason="one process per device with torch")
@pytest.mark.nightly
@pytest.mark.parametrize("count", [2, 4])
def test_devices_of_one_host(one, photographs, start, tmp_path, count):
    config = {**photographs, "output_dir": str(tmp_path / "run"), "devices": count}
    process = start(config, script="recipe.py", JAX_NUM_CPU_DEVICES="4")
    finish(process, devices=count)
    compare(tmp_path / "run", one, tolerance=1e-4)


@pytest.mark.nightly
@not_tensorflow
def test_processes(one, photographs, start, tmp_path):
    count = 4 if BACKEND == "torch" else 2
    config = {**photographs, "output_dir": str(tmp_path / "run")}
    processes = start_together(start, config, count, script="recipe.py")
    finish(*processes, devices=count)
    compare(tmp_path / "run", one, tolerance=1e-4)


@pytest.mark.nightly
@pytest.mark.usefixtures("keras_initializers")  # the other process has no others
def test_adapters_on_two_devices(one, photographs, start, tmp_path):
    config = {**photographs, "weights": str(one), "lora": 2}
    recipe.train(output_dir=str(tmp_path / "one"), **config)
    config["output_dir"] = str(tmp_path / "two")
    if BACKEND == "torch":
        [process] = start_together(start, config, script="recipe.py")
    else:
        config["devices"] = 2
        process = start(config, script="recipe.py", JAX_NUM_CPU_DEVICES="2")
    finish(process)
    compare(tmp_path / "two", tmp_path / "one", tolerance=1e-4)
    models = (keras_t2t.load(tmp_path / name) for name in ("one", "two"))
    assert_close(*(model.get_weights() for model in models), atol=1e-4)


@pytest.mark.nightly
@pytest.mark.usefixtures("keras_initializers")  # the other process has no others
def test_a_run_on_two_devices_goes_on_on_one(start, tiny_run, tmp_path):
    config, sent = {"output_dir": str(tmp_path / "run")}, {"SIGNAL": "15@8"}
    steps = []
    if BACKEND == "torch":
        [process] = start_together(start, config, **sent)
    else:
        config["devices"] = 2
        process = start(config, JAX_NUM_CPU_DEVICES="2", **sent)
    output, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    assert " on 2 devices, " in output and "saved after step" in errors, errors
    tiny_run(resume=True, on_step=steps.append)
    assert 8 < steps[0] <= steps[-1] == 20
    tiny_run(output_dir=str(tmp_path / "whole"))
    compare(tmp_path / "run", tmp_path / "whole", tolerance=1e-4)


@pytest.mark.nightly
@not_tensorflow
def test_two_processes_of_which_one_is_terminated(start, tmp_path):
    """Both stop at one step, one tells of it; resumed, they end as two let alone."""
    twenty_steps = {"epochs": 5, "steps_per_epoch": 4}
    config = {"output_dir": str(tmp_path / "two"), "resume": True, **twenty_steps}
    processes = start_both(start, config, [{}, {"SIGNAL": "15@8"}])
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], errors
    [line] = [x for x in "".join(errors).splitlines() if "stopped by SIGTERM" in x]
    assert "saved after step 12; go on with: " in line
    snapshots = sorted((tmp_path / "two" / "snapshots").iterdir())
    assert snapshots[-1].name == "step-000000012.npz"  # the end of an epoch
    finish(*start_together(start, config))
    finish(*start_together(start, {**config, "output_dir": str(tmp_path / "run")}))
    compare(tmp_path / "two", tmp_path / "run", tolerance=1e-4)


@only_torch
@pytest.mark.nightly
def test_moving_statistics_are_of_all_processes(start, tmp_path):
    """What is validated is what is saved, at the end and in the middle of an epoch."""
    config = {"output_dir": str(tmp_path / "whole"), "epochs": 2, "steps_per_epoch": 12}
    finish(*start_together(start, config, STATISTICS="1"))
    batches = tiny.TinyBatches(Validation(32, 10), count=10)
    images, labels, _ = batches[0]
    logits = keras_t2t.load(tmp_path / "whole").predict(images, verbose=0)
    loss = keras.losses.CategoricalCrossentropy(True, 0.1)(labels, logits)
    assert float(loss) == pytest.approx(history(tmp_path / "whole")[-1]["val_loss"])

    config |= {"output_dir": str(tmp_path / "run"), "resume": True}
    environments = {"STATISTICS": "1"}, {"STATISTICS": "1", "SIGNAL": "15@8"}
    for process in start_both(start, config, environments):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 143, errors[-3000:]
    assert (tmp_path / "run" / "snapshots" / "step-000000010.npz").exists()
    finish(*start_together(start, config, STATISTICS="1"))
    compare(tmp_path / "run", tmp_path / "whole")


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


def start_together(start, config, count=2, **environment):
    if BACKEND == "torch":
        return [start(config, launcher=torchrun(count), **environment)]
    return start_both(start, config, [environment, environment])


@not_tensorflow
@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sent", "victim", "status"), [("9@3", 0, -9), ("9@3", 1, -9), ("15@0", 1, 143)]
)
def test_where_one_process_ends_the_other_does(start, tmp_path, sent, victim, status):
    """It waits in vain, no longer than it was told, and ends with an error."""
    config = {"output_dir": str(tmp_path / "run"), "host_timeout": 10}
    signals = [{"SIGNAL": sent} if i == victim else {} for i in (0, 1)]
    processes = start_both(start, config, signals)
    _, errors = processes[victim].communicate(timeout=300)
    assert processes[victim].returncode == status, errors[-3000:]
    told = "stopped by SIGTERM, before the first step" in errors
    assert told == (status == 143)
    processes[1 - victim].communicate(timeout=60)
    assert processes[1 - victim].returncode not in (0, None)


def start_both(start, config, environments):
    """Both processes, each with its own environment."""
    port, started = free_port(), []
    for process, environment in enumerate(environments):
        settings, group = of_group(process, port)
        started.append(start({**config, **settings}, **group, **environment))
    return started


def of_group(process, port):
    """The settings and the environment of one of two processes."""
    if BACKEND == "torch":
        group = {"RANK": str(process), "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
        return {}, {**group, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    group = {"coordinator": f"127.0.0.1:{port}", "num_processes": 2}
    return {**group, "process_id": process}, {}


@only_torch
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_does_not_come(tiny_run, monkeypatch, tmp_path, rank):
    port = free_port()
    for name, value in of_group(rank, port)[1].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=rf"did not meet at 127\.0\.0\.1:{port} .*2 s"):
        tiny_run(host_timeout=2)
    assert not (tmp_path / "run").exists()


@only_jax
@pytest.mark.nightly
@pytest.mark.parametrize("rank", [0, 1])
def test_jax_ends_a_process_that_is_left_alone(start, tmp_path, rank):
    config = {"output_dir": str(tmp_path / "run"), "host_timeout": 2}
    process = start({**config, **of_group(rank, free_port())[0]})
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and "DEADLINE_EXCEEDED" in errors
    assert not (tmp_path / "run").exists()


def test_what_processes_and_their_batches_must_be():
    """All are asked for the largest number, and for the largest of the negatives."""
    devices = Devices()
    for mine, other in ((5, 5), (0, 5), (5, 0)):
        others = iter([other, -other])
        devices.largest = lambda number, others=others: max(number, next(others))
        assert devices.differs(mine) == (mine != other)
    devices.count = 3
    config = TrainingConfig(batch_size=8).with_defaults("digits", 10)
    with pytest.raises(ValueError, match=r"divisible by their number, 3, got 8"):
        devices.check(config)


HOST = {"coordinator": "127.0.0.1:1"}
CLUSTER = {"cluster": {"worker": ["10.0.0.1:1", "10.0.0.2:1"]}}
NO_RANK = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "", "MASTER_PORT": "1"}
REFUSED = {  # settings and variables of the environment
    "torch": [
        ({"devices": 2}, r"devices=2: with torch, .*torchrun"),
        (NO_RANK, r"WORLD_SIZE=2 without RANK: .*torchrun"),
    ],
    "jax": [
        ({"num_processes": 2}, "num_processes and process_id need coordinator"),
        (HOST, "needs num_processes and process_id too"),
        ({**HOST, "devices": 1}, "devices=1: choosing fewer"),
        ({"devices": 2}, "devices=2: this host has 1"),
    ],
    "tensorflow": [
        (HOST, r"#20585.*jax.*torch"),
        ({"TF_CONFIG": json.dumps(CLUSTER)}, r"TF_CONFIG names several.*#20585"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG must be JSON .*, got "),
        ({"TF_CONFIG": "{"}, "TF_CONFIG must be JSON .*, got "),
        ({"TF_CONFIG": '{"cluster": 3}'}, "TF_CONFIG must be JSON .*, got "),
    ],
}


@pytest.mark.parametrize(("given", "told"), REFUSED[BACKEND])
def test_what_the_backend_does_not_do_is_named(tiny_run, monkeypatch, given, told):
    for name in filter(str.isupper, given):
        monkeypatch.setenv(name, given[name])
    settings = {name: given[name] for name in given if not name.isupper()}
    with pytest.raises(ValueError, match=told):
        tiny_run(**settings)


@only_tensorflow
@pytest.mark.nightly
def test_tensorflow_refuses_what_keras_does_wrong(start, tmp_path):
    settings = {"devices": 2, "gradient_accumulation": 2}
    process = start({**settings, "output_dir": str(tmp_path / "run")})
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert re.search("accumulation=2: .* 2 devices", errors.strip().splitlines()[-1])


@only_tensorflow
@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_tensorflow_refuses_clipping_by_an_optimizer_of_ones_own(name):
    from keras_t2t.training.distribution.tensorflow import TensorFlowDevices

    devices = TensorFlowDevices.__new__(TensorFlowDevices)
    devices.count, devices.spread = 2, "a strategy"
    devices.check_optimizer(keras.optimizers.SGD())
    shown = "clipvalue" if name == "clipvalue" else "clip_norm"
    with pytest.raises(ValueError, match=rf"{shown}=0\.5: .* each of 2 devices"):
        devices.check_optimizer(keras.optimizers.SGD(**{name: 0.5}))


@only_jax
@pytest.mark.parametrize(
    ("platforms", "plugins", "expected"),
    [(None, [], True), (None, ["cuda"], False), ("cpu", ["cuda"], True)],
)
def test_jax_has_only_cpus(platforms, plugins, expected, monkeypatch):
    from keras_t2t.training.distribution import jax as module

    settings = SimpleNamespace(config=SimpleNamespace(jax_platforms=platforms))
    monkeypatch.setattr(module, "jax", settings)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        module.importlib.metadata, "entry_points", lambda group: plugins
    )
    assert module.only_cpus() == expected


# Pages fetched for a block that was freed just before: by this thread, then by eight,
# each of which may have an arena of its own.
FETCHED = """
import resource
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
import keras, keras_t2t
from keras_t2t.training.distribution import connected

def fetched():
    pages = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        b"x" * 70_000_000
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return pages[-1]

def fetched_by_one_of_eight(_):
    together.wait()
    with lock:
        return fetched()

lock, together = Lock(), Barrier(8)
print(fetched())
with connected(keras_t2t.TrainingConfig()):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        number = tf.TensorSpec((), "int32")
        batches = tf.data.Dataset.from_generator([1].__iter__, output_signature=number)
        next(iter(batches))
    print(max(ThreadPoolExecutor(8).map(fetched_by_one_of_eight, range(8))))
"""


@pytest.mark.skipif(BACKEND == "torch", reason="torch gains nothing")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc is told")
def test_on_a_cpu_memory_comes_from_the_system_once():
    done = python("-c", FETCHED, JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
    before, then = map(int, done.stdout.split())
    assert before > 10_000  # pages of 4 KB
    assert then < 100


@pytest.mark.skipif(BACKEND == "torch", reason="torchrun is for torch")
def test_torchrun_starts_no_runs_of_their_own(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "8")
    told = f"got backend {BACKEND}, on which each of these 8 would train a model"
    with pytest.raises(ValueError, match=told), connected(TrainingConfig()):
        pass
