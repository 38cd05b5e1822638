"""The rooms of the package import what CONTRIBUTING's table allows, and no circle."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
FACE = "__init__"


def allowed():
    """{room: rooms that it may import}, of the table."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines()[2:]]
    return {
        room: set(re.findall(r"`(\w+)`", imports))
        for rooms, _, imports in rows
        for room in re.findall(r"`(\w+)`", rooms)
    }


def imports(package):
    """{(room, other room): files}, wherever in a file the import stands."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        for name in imported_by(path):
            library, other, *_ = [*name.split("."), FACE]
            if library == package.name and other != room:
                found.setdefault((room, other), set()).add(path.name)
    return found


def imported_by(path):
    """What a file imports by a statement, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(package):
    table = allowed()
    return {
        f"{room} -> {other}: {', '.join(sorted(files))}"
        for (room, other), files in imports(package).items()
        if room != FACE and other not in table.get(room, ())
    }


def test_rooms_import_what_the_table_allows():
    assert violations(ROOT / "keras_t2t") == set()


def test_the_table_is_of_all_rooms_and_allows_nothing_that_is_not_used():
    table, used = allowed(), imports(ROOT / "keras_t2t")
    rooms = {path.stem for path in (ROOT / "keras_t2t").iterdir()}
    assert set(table) == rooms - {FACE, "__pycache__", "py"}
    arrows = {(room, other) for room in table for other in table[room]}
    assert arrows <= set(used)


def test_there_is_no_circle():
    graph = {room: others - {room} for room, others in allowed().items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


LINES = ("from keras_t2t.models import T2TViT", "import keras_t2t")


@pytest.mark.parametrize("line", [*LINES, "import keras_t2t.data"])
def test_an_arrow_that_is_added_is_found(tmp_path, line):
    (tmp_path / "keras_t2t" / "layers").mkdir(parents=True)
    code = f"def late():\n    {line}\n"
    (tmp_path / "keras_t2t" / "layers" / "dense.py").write_text(code)
    (found,) = violations(tmp_path / "keras_t2t")
    assert found.startswith("layers -> ") and found.endswith(": dense.py")
