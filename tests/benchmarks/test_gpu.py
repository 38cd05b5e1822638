"""The prepared run for a GPU: its driver, tars and tables, and all of it, small."""

import itertools
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import claim, gpu, gpu_scripts, gpu_tables, gpu_tasks
from benchmarks.data_layouts import write_folders
from benchmarks.records import append_line, read_lines
from keras_t2t import data
from tests.hidden import hiding
from tests.photographs import encode
from tests.processes import python

SCRIPT = Path(gpu.__file__)
ABOUT = {"device": "CPU", "rehearsal": True, "versions": {"jax": "1"}}
# What cells do; {} is a file that each may leave.
DEEDS = {
    "crash": "raise ValueError('no such thing')",
    "hang": "import os, time; os.fork() or (time.sleep(2), open({!r}, 'w')); "
    "time.sleep(60)",
    "work": "open({!r}, 'w')",
}


@pytest.fixture
def tasks(monkeypatch):
    """Two tasks of half the time each, whose cells take a second at most."""
    task = gpu_tasks.Task(0.5, 1.0, 0, None, None, False)
    tasks = {"first": task, "second": task}
    monkeypatch.setattr(gpu, "TASKS", tasks)
    return tasks


def test_a_cell_that_crashes_or_hangs_costs_itself(tasks, tmp_path):
    results = tmp_path / "results.jsonl"
    begun = []

    def command(line):
        begun.append(line["cell"]["deed"])
        left = str(tmp_path / line["cell"]["deed"])
        append_line(results, {**line, "figure": 1})  # as the process does
        return ["-S", "-c", DEEDS[begun[-1]].format(left)]

    crash, hang, work = ({"deed": deed} for deed in DEEDS)
    plan = {"first": [crash, hang], "second": [work]}
    gpu.work(plan, results, time.monotonic() + 60, command, ABOUT)
    lines = read_lines(results)
    assert begun == ["crash", "hang", "work"]
    assert [line["cell"]["deed"] for line in lines] == np.repeat(begun, 2).tolist()
    assert [line.get("figure") for line in lines] == [1, None] * 3
    ends = [line["ended"] for line in lines[1::2]]
    assert ends == ["exit code 1", "stopped after 1 s", "well"]
    assert "ValueError: no such thing" in lines[1]["printed"]
    assert "ValueError: no such thing" in (tmp_path / "log.txt").read_text()
    assert (tmp_path / "work").exists()
    time.sleep(1.5)
    assert not (tmp_path / "hang").exists()  # the process that it started ended too

    # Another run goes on with what did not end well, though a kill cut a line off.
    with open(results, "a") as file:
        file.write('{"device": "CPU", "rehears\n')
    gpu.work(plan, results, time.monotonic() + 60, command, ABOUT)
    assert begun[3:] == ["crash", "hang"]
    other = {**ABOUT, "device": "another"}
    plan = {"second": [work]}
    gpu.work(plan, results, time.monotonic() + 60, command, other)
    assert begun[5:] == ["work"]


def test_time_that_a_task_leaves_goes_to_the_next(tasks, tmp_path, monkeypatch):
    limits = []

    def alone(command, limit, log):
        limits.append(limit)
        return {"ended": "well"}

    monkeypatch.setattr(gpu, "alone", alone)
    for name in tasks:
        tasks[name] = tasks[name]._replace(limit=80, least=30)
    plan = {"first": [{"n": 1}, {"n": 2}], "second": [{"n": 3}]}
    results = tmp_path / "results.jsonl"
    gpu.work(plan, results, time.monotonic() + 100, lambda line: [], ABOUT)
    assert limits == pytest.approx([50, 50, 80], abs=1)
    about = {**ABOUT, "device": 2}
    gpu.work(plan, results, time.monotonic() + 40, lambda line: [], about)
    assert limits[3:] == pytest.approx([40], abs=1)  # half of 40 s is not worth a cell
    ends = [line["ended"] for line in read_lines(results)[3:]]
    assert ends == ["2 from here on not begun", "well"]


def test_the_rate_is_that_of_steps(monkeypatch, tmp_path):
    """Without what `fit` and `predict` take at their beginning and end."""
    worker = SimpleNamespace(
        start={"macs": 1, "first_step": 1.0, "memory": 1},
        seconds=lambda steps: 0.05 + 0.004 * steps,
        close=lambda: None,
    )
    monkeypatch.setattr(gpu_tasks, "Worker", lambda **subject: worker)
    results = tmp_path / "results.jsonl"
    given = gpu_tasks.Given(results, ABOUT, None, tmp_path, False)
    gpu_tasks.throughput(given, "T2TViT7", "jax", "inference", 128)
    (line,) = read_lines(results)
    assert line["images_per_second"] == pytest.approx(128 / 0.004, rel=0.01)


def test_what_a_short_run_is_to_answer_comes_first():
    """Which ways can feed a GPU; the scripts where they need not compile for long."""
    threads, processes, *_ = gpu_tasks.pipeline_cells(False)
    assert threads["cores"] == processes["cores"] == processes["processes"]
    assert threads["processes"] == 0
    assert gpu_tasks.script_cells(False)[0] == {"backend": "torch"}


def test_training_from_scratch_tells_its_speed_before_it_is_evaluated(
    monkeypatch, tmp_path
):
    def trained(design, *training, **settings):
        return design.build(32), {"seconds": [9.0, 2.0, 2.0], "loss": [1.0]}

    def evaluated(model, validation):
        raise MemoryError

    monkeypatch.setattr(claim, "trained_on_device", trained)
    monkeypatch.setattr(claim, "evaluated", evaluated)
    monkeypatch.setattr(claim, "DEVICE_BATCH_SIZE", 8)  # as it does itself
    nothing = dict.fromkeys(("labels", "test_images", "test_labels"))
    photographs = SimpleNamespace(images=range(8), **nothing)
    monkeypatch.setattr(gpu_tasks, "pixels", lambda *_: photographs)
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # as it does itself
    results = tmp_path / "results.jsonl"
    given = gpu_tasks.Given(results, ABOUT, None, tmp_path, True)
    with pytest.raises(MemoryError):
        gpu_tasks.scratch(given, "T2TViT14", 1)
    assert [line["images_per_second"] for line in read_lines(results)] == [4]


def test_the_log_has_the_errors_of_xla(tmp_path, monkeypatch):
    """Such as which cuDNN is too old, which no exception says; test_runs.py has that
    the level goes on to processes."""
    level, levels = "TF_CPP_MIN_LOG_LEVEL", []
    monkeypatch.setenv(level, "3")
    monkeypatch.delenv(level)
    monkeypatch.setattr(gpu, "measure", lambda _: levels.append(os.environ[level]))
    monkeypatch.setattr(gpu.signal, "signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["gpu.py", "--output", str(tmp_path)])
    gpu.main()
    assert levels == ["2"]


def test_what_is_kept_of_what_a_process_prints():
    text = 'File "/home/me/lib/x.py"\n' + "again\n" * 9 + "https://a.org/b\nand/or/b\n"
    assert gpu_scripts.kept(text) == 'File "…/x.py"\nagain\nhttps://a.org/b\nand/or/b'
    long = gpu_scripts.kept("\n".join(map(str, range(9999))))
    assert long.startswith("0\n1\n") and long.endswith("\n9998")
    assert len(long) < gpu_scripts.KEPT + 10


def test_photographs_are_packed(tmp_path):
    random, photographs, files = np.random.default_rng(0), tmp_path / "made", {}
    for split, kind in itertools.product(("train", "val"), ("cat", "dog")):
        for i in range(6 if split == "train" else 3):
            pixels = random.integers(0, 256, (60, 90, 3), "uint8")
            image = Image.fromarray(pixels).convert("L" if i == 0 else "RGB")
            files[f"{split}/{kind}/{i}.photo.jpg"] = encode(image, "JPEG")
    write_folders(photographs, files)
    gpu.pack(photographs, tmp_path / "tars", 30, 2**20)
    opened = data.open_dataset(data_dir=tmp_path / "tars", reader="grain")
    assert (opened.num_train, opened.num_validation) == (12, 6)
    assert opened.class_names == ("cat", "dog")
    assert opened.class_counts.tolist() == [6, 6]
    packed = gpu_tasks.pixels(tmp_path / "tars", 30)
    assert packed.images.shape == (12, 30, 30, 3)
    assert sorted(packed.test_labels) == [0, 0, 0, 1, 1, 1]

    limit = 20480 + 9 * 4000
    gpu.pack(photographs, tmp_path / "few", 30, limit)
    few = data.open_dataset(data_dir=tmp_path / "few", reader="grain")
    assert 6 < few.num_train + few.num_validation < 18
    size = sum(path.stat().st_size for path in (tmp_path / "few").iterdir())
    assert limit - 20480 < size <= limit

    with pytest.raises(ValueError, match="few is there already"):
        gpu.pack(photographs, tmp_path / "few", 30, limit)
    with pytest.raises(ValueError, match="no train/<class>"):
        gpu.pack(tmp_path / "few", tmp_path / "new", 30, limit)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"made", "tars", "few"}


def test_tables():
    def line(batch_size=None, **values):
        about = {**ABOUT, "device": "One", "rehearsal": False, "task": "throughput"}
        return {**about, "cell": {"model": "ViT", "batch_size": batch_size}, **values}

    lines = [line(128, rate=5.25), line(256, rate=123.5, top1=None), line(ended="well")]
    lines += [line(way="odd", output="refused"), line(way="odd", output="no gradient")]
    lines += [line(ended="exit code 1", device="Two"), line(1, rate=99, rehearsal=True)]
    text = gpu_tables.tables(lines)
    assert text.startswith("**One** (jax 1)\n\n`throughput`:\n\n| model | batch size |")
    assert "| ViT | 128 | 5.25 |" in text and "| ViT | 256 | 124 |  |" in text
    assert "| odd | no gradient |\n" in text and "refused" not in text
    assert "**Two** (jax 1)\n\nNot measured to the end: throughput ViT" in text
    assert "| 1 | 99 |" in gpu_tables.tables(lines, rehearsal=True)
    assert "99" not in text
    assert gpu_tables.tables([]).startswith("Nothing of this was measured on a GPU")


def test_the_readme_has_the_tables_of_what_was_measured():
    text = gpu_tables.README.read_text(encoding="utf-8")
    assert gpu_tables.with_tables(text) == text
    # The whole run, as one command.
    (command,) = (
        block for block in text.split("```") if "benchmarks/gpu.py --minutes" in block
    )
    assert len(command) < 2000
    *lines, _ = command.split("\n", 1)[1].splitlines()
    assert all(line.endswith("\\") for line in lines)
    # A machine that is lent ends a command after ten minutes, and returns one folder.
    assert "--output ${OUT:-results}" in command
    seconds = 60 * float(command.split("--minutes ")[1].split()[0])
    assert seconds <= 540
    chosen = command.split("--tasks ")[1].split(" \\\n")[0].split()
    tasks = [gpu_tasks.TASKS[name] for name in chosen]
    for task in tasks:
        assert task.least < seconds * task.share / sum(task.share for task in tasks)


@pytest.mark.nightly
def test_a_rehearsal_without_tensorflow(tmp_path):
    without = hiding("tensorflow", "keras_cv", "tensorflow_datasets")
    (tmp_path / "sitecustomize.py").write_text(without)
    path = os.pathsep.join([str(tmp_path), str(SCRIPT.parents[1])])
    flags = ("--rehearse", "--output", tmp_path / "out")
    done = python(SCRIPT, *flags, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "Not measured" not in done.stdout, done.stdout
    assert done.stdout.endswith((tmp_path / "out/tables.md").read_text() + "\n")
    lines = read_lines(tmp_path / "out" / "results.jsonl")
    ended = [(line["task"], line["cell"]) for line in lines if "ended" in line]
    tasks = gpu.TASKS.items()
    assert ended == [(name, cell) for name, task in tasks for cell in task.cells(True)]
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "tensorflow" not in log.lower().replace("tensorflow is not installed", "")
    assert all(f"`{task}`:" in done.stdout for task in gpu.TASKS)
