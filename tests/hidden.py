"""An import system that does not find some libraries, as if they were not installed."""

import sys
from pathlib import Path


class Without:
    def __init__(self, finder, names):
        self.finder, self.names = finder, names

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.names:
            return self.finder.find_spec(name, path, target)


def without(*names):
    """What stands in for `sys.meta_path`."""
    return [Without(finder, names) for finder in sys.meta_path]


def hiding(*names):
    """Code of another process, before it imports anything else."""
    code = Path(__file__).read_text(encoding="utf-8")
    return f"{code}\n\nsys.meta_path = without(*{names!r})\n"
