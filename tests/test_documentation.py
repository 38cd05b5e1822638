"""README's and the docs' blocks of code: Python runs, commands are ones that exist.

A comment before a block says what becomes of it:

    <!-- not run: WHY -->      neither here nor in CI
    <!-- command: NAME -->     CI runs it as it stands
    <!-- start -->             CI runs it, in the order of the page
    <!-- setup: CODE -->       Python that runs before the block, and is not shown
    <!-- stand-ins: CODE -->   the same, and weights that are not here are random

Python without one runs here, page by page in one namespace. A command's flags are held
against its script's own parser.
"""

import itertools
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_t2t
from tests.processes import python

pytestmark = pytest.mark.once

ROOT = Path(keras_t2t.__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*?)\s-->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
IS_SCRIPT = re.compile(r"(examples|benchmarks)/\w+\.py|keras-t2t").fullmatch
# A script's parser is asked, and nothing after it runs.
PARSE = """
import argparse, os, runpy, shlex, sys

class Parsed(BaseException):
    pass

parse = argparse.ArgumentParser.parse_args
def parse_args(self, *arguments):
    parse(self, *arguments)
    raise Parsed
argparse.ArgumentParser.parse_args = parse_args
sys.path[:0] = ["examples", os.getcwd()]
import keras_t2t_command
for command in sys.stdin.read().splitlines():
    sys.argv = shlex.split(command)
    try:
        if sys.argv[0] == "keras-t2t":
            keras_t2t_command.main()
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Parsed:
        continue
    except SystemExit:
        pass
    sys.exit(f"not a command: {command}")
"""
# What names weights on the network or of the reader's own asks for random ones.
REPLACE = """
from keras_t2t._ground import hub_files
from keras_t2t.checkpoints import published_file

published_file.fetched_file = lambda weights: None
"""
PUT_BACK = "published_file.fetched_file = hub_files.fetched_file"
# Of Python, what needs more than weights and data.
NOT_RUN = {
    "docs/export.md runs it for each format",
    "as above",
    "needs a server",
    "needs an account; tests/test_hub_files.py has a hub of its own",
}


def blocks(page, language):
    """`(mark, code)` of each block of a page."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match["language"] == language:
            yield match["mark"] or "", match["code"]


def python_of(page):
    """What of a page runs here, as one program."""
    parts = []
    for mark, code in blocks(page, "python"):
        kind, _, rest = mark.partition(":")
        if kind == "stand-ins":
            parts += [REPLACE, rest, code, PUT_BACK]
        elif kind == "setup":
            parts += [rest, code]
        elif not mark:
            parts.append(code)
    return "\n".join(parts)


PROGRAMS = {page.stem: python_of(page) for page in PAGES if python_of(page)}
# One page after the other in one process: what they import takes longer than they do.
RUN = """
import os, sys
import keras_t2t
import numpy as np

for page in sys.argv[1:]:
    print("page", page, file=sys.stderr)
    os.chdir(page)
    with open("program.py", encoding="utf-8") as file:
        code = compile(file.read(), f"{page}/program.py", "exec")
    exec(code, {"__name__": "__main__", "keras_t2t": keras_t2t, "np": np})
"""


@pytest.mark.processes
def test_python_runs(tmp_path):
    folders = [tmp_path / name for name in PROGRAMS]
    for folder, program in zip(folders, PROGRAMS.values(), strict=True):
        folder.mkdir()
        (folder / "program.py").write_text(program, encoding="utf-8")
        for name, photograph in (("cat", "china"), ("dog", "flower")):
            image = Image.fromarray(load_sample_image(f"{photograph}.jpg"))
            image.save(folder / f"{name}.jpg")
    finished = python("-c", RUN, *folders)
    assert finished.returncode == 0, finished.stderr


def test_every_block_is_accounted_for():
    known = {"not run", "command", "start", "setup", "stand-ins"}
    for page in PAGES:
        for language in ("python", "bash"):
            for mark, code in blocks(page, language):
                kind, _, rest = mark.partition(":")
                assert kind in known or (not mark and language == "python"), code
                bare = kind in ("start", "stand-ins") or not mark
                assert bare or rest.strip(), code
                if kind == "not run" and language == "python":
                    assert rest.strip() in NOT_RUN, code
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"^```(\w+)", text, re.MULTILINE))
        assert named <= {"python", "bash"}, page


def commands():
    """The commands of all pages that name a script of this repository, or its own."""
    found = []
    for page in PAGES:
        for _, code in blocks(page, "bash"):
            code = code.replace("\\\n", " ").replace("BACKEND", "torch")
            for line in code.splitlines():
                words = shlex.split(line, comments=True)
                rest = list(itertools.dropwhile(lambda w: not IS_SCRIPT(w), words))
                if not rest or "..." in words:
                    continue
                if len(rest) == 1 and rest != ["keras-t2t"]:
                    assert (ROOT / rest[0]).is_file()
                    continue
                command = itertools.takewhile(lambda w: w not in ("&&", ";", "|"), rest)
                found.append(shlex.join(command))
    return found


@pytest.mark.processes
def test_commands_are_accepted_by_their_scripts():
    assert len(commands()) > 50
    finished = python("-c", PARSE, cwd=ROOT, input="\n".join(commands()))
    assert finished.returncode == 0, finished.stderr[-2000:]


def test_the_api_page_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    from keras_t2t import layers, visualization

    for room in (keras_t2t, layers, visualization):
        for name in room.__all__:
            assert re.search(rf"\b{name}\b", text), name


def test_the_extra_brings_what_its_row_promises():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    extras = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    train = extras.partition("\ntrain =\n")[2].partition("\ndata =")[0]
    (row,) = re.findall(r"^\| `train` \|.*", page, re.MULTILINE)
    assert "TensorBoard" in row and "\n    tensorboard>=" in train
    assert "TensorFlow Datasets" in row and "\n    tensorflow-datasets>=" in train


def test_the_start_page_begins_as_readme_does():
    """CI runs README's command, and then what follows it on the page."""
    pages = (ROOT / "README.md", ROOT / "docs" / "start.md")
    readme, start = (dict(blocks(page, "bash"))["command: train"] for page in pages)
    assert readme == start
