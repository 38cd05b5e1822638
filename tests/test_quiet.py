"""What TensorFlow says as it is loaded stays out of sight, and nothing else does."""

import importlib.machinery
import os
import sys
import zipfile

import pytest

from keras_t2t._ground.quiet import QuietTensorFlow, without_absl
from tests.processes import python

pytestmark = pytest.mark.once

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795872633.913654    6688 cudart_stub.cc:31] Could not find cuda drivers
E0000 00:00:1795872633.913654 1 cuda_dnn.cc:1] Unable to register cuDNN factory: two
2026-11-28 13:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN is on
"""


def test_lines_of_absl_go_and_others_stay(capfd):
    with pytest.raises(ImportError), without_absl():
        os.write(2, f"{NOISE}E0000 00:00:1 this is an error\na warning\n".encode())
        raise ImportError
    os.write(2, b"after\n")
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["E0000 00:00:1 this is an error", "a warning", "after"]


class Proxy:
    """A loader whose attributes are those of another, as that of wrapt's hooks."""

    def __init__(self, loader):
        self.__dict__["loader"] = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __setattr__(self, name, value):
        setattr(self.loader, name, value)


class Proxies:
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = Proxy(spec.loader)
        return spec


@pytest.mark.parametrize("finder", [importlib.machinery.PathFinder, Proxies()])
def test_only_tensorflow_is_quiet_whatever_loads_it(
    finder, tmp_path, monkeypatch, capfd
):
    """A zip file has one loader for all of its modules."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("tensorflow", "no_tensorflow"):
            code = f"import os; os.write(2, b'I0000 00:00: of {name}\\n')"
            archive.writestr(f"{name}.py", code)
    monkeypatch.setattr(sys, "meta_path", [QuietTensorFlow(), finder])
    monkeypatch.syspath_prepend(tmp_path / "x.zip")
    for name in ("tensorflow", "no_tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
        module = importlib.import_module(name)
        assert type(module.__spec__.loader).__name__ in ("zipimporter", "Proxy")
    assert capfd.readouterr().err == "I0000 00:00: of no_tensorflow\n"


@pytest.mark.every_backend
@pytest.mark.nightly_elsewhere
@pytest.mark.processes
def test_loading_is_silent():
    """Unless CUDA is there and does not work, which is worth a line."""
    loads = (
        "import sys, keras_t2t, keras\n"
        "keras.layers.Dense(3).get_config()  # Keras loads TensorFlow for it\n"
        "assert 'tensorflow' in sys.modules"
    )
    pytest.importorskip("tensorflow")
    done = python("-c", loads)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert not [line for line in lines if "failed call to cuInit" not in line]
