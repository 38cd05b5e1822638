"""Hides useless lines that TensorFlow prints on standard error while it is loaded,
before its own settings take effect."""

import contextlib
import importlib.util
import os
import re
import sys
import tempfile

NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]0000 00:00:"
    rb"|E0000 00:00:.* Unable to register cu\w+ factory"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: I "
    rb"|To enable the following instructions: "
)


@contextlib.contextmanager
def without_absl():
    """Context that holds back standard error: at its end all other lines are printed.
    Keep it short."""
    try:
        before = os.dup(2)
    except OSError:  # a program may have closed it
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            for line in kept:
                if not NOISE.match(line):
                    os.write(2, line)


class QuietTensorFlow:
    """Finder of `sys.meta_path`: TensorFlow is loaded within `without_absl`, whoever
    imports it. Keras does so in places, such as the configuration of a layer."""

    searching = False

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow" or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.searching = False
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = QuietLoader(spec.loader)  # type: ignore[assignment]
        return spec


class QuietLoader:
    """Calls another loader within `without_absl`. The other is not changed, for it may
    serve other modules too or be a proxy; the module keeps it."""

    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        with without_absl():
            self.loader.exec_module(module)


def quieten_tensorflow():
    if not any(isinstance(finder, QuietTensorFlow) for finder in sys.meta_path):
        sys.meta_path.insert(0, QuietTensorFlow())
