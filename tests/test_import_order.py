"""triton, a part of torch's default build, never comes after TensorFlow.

That is a segmentation fault. Where the installed torch has no triton, a stand-in takes
its place, which ends the process when it comes after TensorFlow.
"""

import importlib.machinery
import itertools
import os
import sys

import keras
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_t2t
from keras_t2t.export.formats import FORMATS
from tests import processes
from tests.processes import ROOT
from tests.test_rooms import imported_by

BACKEND = keras.backend.backend()
PACKAGE = ROOT / "keras_t2t"
STAND_IN = """
import os, sys
if "tensorflow" in sys.modules:
    print("triton came after TensorFlow", file=sys.stderr, flush=True)
    os.abort()
raise ImportError("a stand-in")  # torch goes on without it
"""
# It loads triton, as compiling does.
OPTIMIZER = """
import torch
torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Runs Python with arguments, in a folder; fails if it does."""
    search = [str(ROOT)]
    # Not by `sys.modules`: this process may have shut it out.
    if importlib.machinery.PathFinder.find_spec("triton") is None:
        stand_in = tmp_path_factory.mktemp("stand_in") / "triton"
        stand_in.mkdir()
        (stand_in / "__init__.py").write_text(STAND_IN)
        search.append(str(stand_in.parent))

    def run(*arguments, cwd=None):
        environment = {"PYTHONPATH": os.pathsep.join(search), "KERAS_BACKEND": BACKEND}
        environment["TFDS_DATA_DIR"] = os.devnull
        done = processes.python(*arguments, cwd=cwd, **environment)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.mark.parametrize(
    "first", ["keras_t2t, tensorflow", "keras, tensorflow, keras_t2t"]
)
@pytest.mark.nightly
def test_torch_works_beside_tensorflow(first, python):
    """Whether TensorFlow comes before this package or after it."""
    python("-c", f"import {first}\n{OPTIMIZER}")


@pytest.mark.once
def test_the_order_is_decided_before_anything_else_is_imported():
    """No module of the package can come before it, nor what it imports."""
    first = next(imported_by(PACKAGE / "__init__.py"))
    assert first == "keras_t2t._ground.import_order"
    imported = libraries(PACKAGE / "_ground" / "import_order.py")
    assert imported <= sys.stdlib_module_names


# Modules that run only where Keras's backend is the library itself, and one that is
# run as a script, without the package and with one of them.
BACKENDS_OWN = {
    "tensorflow": {
        "export/exporting.py",
        "export/keras_formats.py",
        "export/runtimes.py",
        "layers/platform.py",
        "training/distribution/tensorflow.py",
    },
    "torch": {
        "export/exporting.py",
        "export/keras_formats.py",
        "export/onnx_format.py",
        "export/runtimes.py",
        "layers/platform.py",
        "training/distribution/torch.py",
        "training/state.py",
        "visualization/probe.py",
    },
    "triton": set(),
}


@pytest.mark.parametrize("library", BACKENDS_OWN)
@pytest.mark.once
def test_no_other_module_imports_it_by_itself(library):
    """TensorFlow that only reads data comes by `import_tensorflow`, without GPUs."""
    importing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if library in libraries(path)
    }
    assert importing == BACKENDS_OWN[library]


def libraries(path):
    """Those that a file imports by a statement, anywhere in it."""
    return {name.partition(".")[0] for name in imported_by(path)}


# === The scripts, which import the package late, each in a process of its own ===
SHORT = "--image-size 32 --batch-size 4 --steps-per-epoch 2 --epochs 1"
SCRIPTS = [
    f"transfer_learning.py --weights run --data-dir photos --output tuned {SHORT}",
    "evaluate.py --weights run --data-dir photos",
    "predict.py --weights x.pth --classes classes.json flower.jpg",
    "convert_checkpoint.py x.pth --output x.safetensors",
    "visualize_features.py --weights run/final.keras --output seen flower.jpg",
    "plot_runs.py run",
    *(
        f"export_model.py --weights x.pth --format {name} --output x_{name}{row.suffix}"
        for name, row in FORMATS.items()
    ),
]


@pytest.fixture(scope="module")
def folder(python, tmp_path_factory):
    """Photographs of two classes, a run on them by `train_imagenet.py`, weights."""
    folder = tmp_path_factory.mktemp("everything")
    Image.fromarray(load_sample_image("flower.jpg")).save(folder / "flower.jpg")
    for place in itertools.product(("train", "val"), ("china", "flower")):
        photos = folder.joinpath("photos", *place)
        photos.mkdir(parents=True)
        photograph = Image.fromarray(load_sample_image(f"{place[1]}.jpg"))
        for i in range(4):
            photograph.crop((i, i, 64 + i, 64 + i)).save(photos / f"{i}.png")
    (folder / "classes.json").write_text('["china", "flower"]')
    model = keras_t2t.T2TViT7(input_shape=(32, 32, 3), classes=2)
    keras_t2t.save_official(model, folder / "x.pth")
    arguments = f"--data-dir photos --output run {SHORT}".split()
    python(ROOT / "examples" / "train_imagenet.py", *arguments, cwd=folder)
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("command", SCRIPTS)
def test_a_script_ends_well(command, python, folder):
    script, *arguments = command.split()
    python(ROOT / "examples" / script, *arguments, cwd=folder)
