"""The sdist and the wheel, installed into an empty environment."""

import configparser
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import keras_t2t
from keras_t2t.cli.dispatch import COMMANDS

ROOT = Path(__file__).parents[1]
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "setup.cfg")
USE = """
import sys
import keras_t2t
import numpy as np

assert not {"torch", "tensorflow"} & set(sys.modules)
model = keras_t2t.T2TViT7(input_shape=(64, 64, 3))
assert model(np.zeros((1, 64, 64, 3), "float32")).shape == (1, 1000)
print(keras_t2t.__version__, keras_t2t.__file__)
"""
SHORT_RUN = (
    *("--dataset", "digits", "--image-size", "32", "--steps-per-epoch", "2"),
    *("--epochs", "2", "--output", "run"),
)


def run(*command, code=0, **kwargs):
    command = list(map(str, command))
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == code, f"{done.stdout[-1000:]}{done.stderr[-3000:]}"
    return done


def test_nothing_is_required_that_keras_does_not_require():
    required = SETTINGS["options"]["install_requires"].split("\n")
    names = [re.match(r"\w*", requirement)[0] for requirement in required]
    assert [name for name in names if name] == ["keras", "numpy", "h5py", "ml_dtypes"]
    theirs = importlib.metadata.requires("keras")
    assert {"numpy", "h5py", "ml-dtypes"} <= {
        re.match(r"[\w-]*", requirement)[0] for requirement in theirs
    }
    assert set(SETTINGS["options.extras_require"]) == {
        *("jax", "tpu", "tensorflow", "torch", "train", "data", "convert", "export"),
        *("export-jax", "visualize", "hub", "keras-hub", "docs", "all", "test"),
    }


def test_workflows_run_known_code_and_may_only_read():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        assert re.findall(r"^permissions:\n  (.*)$", text, re.M) == ["contents: read"]
        actions = re.findall(r"uses: (\S+)", text)
        assert actions
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in actions)
        assert text.count("persist-credentials: false") == text.count("/checkout@")


def test_the_nightly_workflow_has_every_step():
    text = (ROOT / ".ci" / "nightly").read_text()
    steps = re.search(r"^steps=\((.*?)\)", text, re.M | re.S)[1].split()
    workflow = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    assert re.findall(r"^ {10}- (.*)$", workflow, re.M) == steps
    assert set(re.findall(r"^step_(\w+)\(\)", text, re.M)) == {
        step.replace("-", "_") for step in steps
    }


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """`(wheel, sdist)`; `build` makes the wheel from the sdist, so this proves both."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", ROOT, "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


def environment(folder, *requirements):
    """The Python of a new virtual environment that has these."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    # Of a package on PYTHONPATH pip says that it is installed.
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run(python, "-m", "pip", "install", *requirements, env=alone)
    return python


@pytest.mark.packaging
def test_the_distributions_hold_what_they_should(distributions):
    wheel, sdist = distributions
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    names = zipfile.ZipFile(wheel).namelist()
    assert {"keras_t2t/py.typed", "keras_t2t_command.py"} <= set(names)
    assert "keras_t2t/layers/soft_split.py" in names
    assert "keras_t2t/visualization/report_page.html" in names
    assert not [name for name in names if name.startswith(("tests", "examples"))]
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/LICENSE") for name in archive.getnames())


@pytest.mark.packaging
def test_the_wheel_in_an_empty_environment(distributions, tmp_path):
    python = environment(tmp_path / "empty", f"{distributions[0]}[jax,data]")
    place = {"cwd": tmp_path, "env": {"HOME": str(tmp_path)}}
    backend = {"KERAS_BACKEND": "jax", "HOME": str(tmp_path)}
    used = run(python, "-c", USE, cwd=tmp_path, env=backend)
    version, file = used.stdout.split()
    assert version == keras_t2t.__version__
    assert file.startswith(str(tmp_path / "empty"))
    command = python.with_name("keras-t2t")
    for words in ((), *((name,) for name in COMMANDS)):
        assert "usage: keras-t2t" in run(command, *words, "--help", **place).stdout
    trained = run(command, "train", *SHORT_RUN, **place)
    assert trained.stderr.startswith("Backend: jax, the first that is installed")
    assert (tmp_path / "run" / "result.json").is_file()
    missing = run(command, "compare", "run", code=2, **place)
    assert 'pip install "keras-t2t[visualize]"' in missing.stderr.splitlines()[-1]


def lowest(*extras):
    """The lowest versions that setup.cfg accepts, as pip's constraints; of a library
    that several name, the last one's."""
    requirements = SETTINGS["options"]["install_requires"].splitlines()
    for extra in extras:
        requirements += SETTINGS["options.extras_require"][extra].splitlines()
    pairs = (re.split(">=| *#", line)[:2] for line in requirements if ">=" in line)
    return [f"{name}=={version}" for name, version in dict(pairs).items()]


IMAGE = "teal.png"
AFTERWARDS = {
    "data": [],
    "visualize": [
        ("predict.py", "--weights", "run", IMAGE),
        ("visualize_features.py", "--weights", "run", IMAGE),
    ],
    "export": [
        ("export_model.py", "--weights", "run", "--format", name, "--output", output)
        for name, output in (
            *(("onnx", "x.onnx"), ("litert", "x.tflite"), ("openvino", "x.xml")),
            *(("torch", "x.pt2"), ("tf_saved_model", "x")),
        )
    ],
}


@pytest.mark.packaging
@pytest.mark.nightly
@pytest.mark.parametrize(
    "extras",
    [
        ("jax", "data", "visualize"),
        ("tensorflow", "data", "visualize"),
        ("torch", "data", "export"),
    ],
)
def test_the_lowest_versions_do(extras, distributions, tmp_path):
    """Train, predict, look inside and export, which compares what both give, with the
    oldest libraries that are accepted; torch is export's oldest, the only one that is
    built for CPUs alone."""
    wheel = f"{distributions[0]}[{','.join(extras)}]"
    python = environment(tmp_path / "lowest", wheel, *lowest(*extras))
    Image.new("RGB", (40, 40), "teal").save(tmp_path / IMAGE)
    commands = [("train_imagenet.py", *SHORT_RUN)]
    for extra in extras[1:]:
        commands += AFTERWARDS[extra]
    for script, *arguments in commands:
        words = (ROOT / "examples" / script, "--backend", extras[0], *arguments)
        run(python, *words, cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert (tmp_path / "run" / "result.json").is_file()
    if "visualize" in extras:
        assert (tmp_path / "visualization" / "report.html").is_file()
