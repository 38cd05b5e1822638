"""`examples/finetune.py` as its users call it."""

import contextlib
import functools
import http.server
import json
import shlex
import signal
import socket
import subprocess
import threading
import time
import types
import urllib.request
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_t2t.cli import finetune
from tests import processes
from tests.processes import ROOT

FEW = [
    *("--weights", "none", "--model", "T2TViT7", "--image-size", "32"),
    *("--epochs", "2", "--batch-size", "4", "--warmup-epochs", "1"),
    *("--output", "run"),
]


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Ten photographs of one class, and five of another."""
    monkeypatch.chdir(tmp_path)
    for name, number in (("china", 10), ("flower", 5)):
        image = Image.fromarray(load_sample_image(f"{name}.jpg"))
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for i in range(number):
            part = image.crop((9 * i, 9 * i, 9 * i + 200, 9 * i + 150))
            part.save(tmp_path / "photographs" / name / f"{i}.jpg")
    return tmp_path / "photographs"


@pytest.mark.nightly
def test_from_photographs_to_a_page(photographs, tmp_path, success):
    out = success("finetune.py", photographs, "--web", *FEW)
    *_, top1, confusion, model, page, last = out.splitlines()
    result = json.loads((tmp_path / "run" / "result.json").read_text())["result"]
    assert json.loads(last) == result
    assert top1 == f"top-1: {result['val_top1']:.1%}"
    assert confusion.startswith(("most frequent confusion: ", "no validation image"))
    assert model.startswith("model: run/model.onnx")
    assert page.startswith("page: run/web")
    for path in ("run/model.onnx", "run/model_int8.onnx", "run/web/model.onnx"):
        assert (tmp_path / path).stat().st_size > 1e6
    manifest = json.loads((tmp_path / "run" / "web" / "manifest.json").read_text())
    assert manifest["classes"] == ["china", "flower"] and manifest["size"] == [32, 32]
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["recipe"] == "small_set" and record["class_weights"] == "balanced"
    # What is finished is told again.
    again = success("finetune.py", photographs, "--resume", *FEW)
    assert again.splitlines()[-3:] == [top1, confusion, last]


def test_a_finished_run_s_own_photographs_are_read_as_it_did(tmp_path, monkeypatch):
    """Of others the names would stand in its page."""
    run = {"dataset": None, "data_dir": "/photos", "skip_corrupt": True}
    run |= {"validation_share": 0.2, "reader": "grain"}
    found = Mock(run=run, classes=2, class_names=["cat", "dog"])
    pets = types.SimpleNamespace(name="pets", class_names=("cat", "dog"))
    opened = Mock(return_value=pets)
    monkeypatch.setattr("keras_t2t.classifier.find_classifier", lambda folder: found)
    monkeypatch.setattr("keras_t2t.data.open_dataset", opened)
    settings = {"dataset": None, "data_dir": None, "skip_corrupt": False}
    finetune.trained(tmp_path, settings)
    assert opened.call_args.args == (None, "/photos")
    assert opened.call_args.kwargs["skip_corrupt"]
    found.class_names = ["china", "flower"]
    with pytest.raises(ValueError, match="class 0 is 'cat' in the data and 'china' in"):
        finetune.trained(tmp_path, {**settings, "data_dir": "pets"})


def test_the_page_s_command_is_one_for_a_shell(monkeypatch):
    monkeypatch.setattr("keras_t2t.export.export_model", lambda *model, **how: None)
    monkeypatch.setattr(finetune, "calibration_images", lambda *data, **how: None)
    source = types.SimpleNamespace(size=(32, 32), transform={}, photograph_transform={})
    dataset = types.SimpleNamespace(class_names=("a", "b"))
    _, line = finetune.export(source, None, dataset, Path("my runs/it's"))
    command = line.removeprefix("page: my runs/it's/web (").removesuffix(")")
    assert shlex.split(command)[-2:] == ["-d", "my runs/it's/web"]


def test_browsers_ask_again_for_what_is_served(tmp_path):
    """The next run's page has the same address."""
    (tmp_path / "index.html").touch()
    handler = functools.partial(finetune.Fresh, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://localhost:{server.server_port}/") as got:
            assert got.headers["Cache-Control"] == "no-cache"
        server.shutdown()


def test_a_port_in_use(photographs, finish):
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # another program has it already
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        code, _, err = finish("finetune.py", photographs, "--serve")
    assert "--serve: port 8000 is in use" in err
    assert code == 2


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("line", "name", "told"),
    [
        ("Data:", "SIGTERM", "before the first step"),
        ("Making the training stream", "SIGINT", "before the first step"),
        ("First step", "SIGINT", "saved after step"),
        # In the export, or at the end of the training that is finished.
        ("run/result.json", "SIGTERM", "stopped by SIGTERM"),
    ],
)
def test_stopped_and_gone_on_with(photographs, tmp_path, line, name, told):
    """In a process of its own; the command that it tells does the rest."""
    number = getattr(signal, name)
    command = ("-u", ROOT / "examples" / "finetune.py", photographs, *FEW)
    process = processes.start(*command, "--web", "--epochs", "3")
    if line.endswith(".json"):  # the export has begun
        while not (tmp_path / line).exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
    else:
        while not process.stdout.readline().startswith(line):
            assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 128 + number, errors
    [last] = [line for line in errors.splitlines() if line.startswith("finetune.py: ")]
    assert told in last
    if "saved" in told:
        assert not (tmp_path / "run" / "result.json").exists()
    elif "before" in told:
        assert not (tmp_path / "run").exists()
    else:
        assert not list((tmp_path / "run").glob(".writing-*"))
    again = last.partition("; go on with: ")[2]
    environment = processes.with_package({})
    done = subprocess.run(
        again, shell=True, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert ("Resuming after step" in done.stdout) == ("saved" in told)
    assert (tmp_path / "run" / "web" / "manifest.json").exists()
