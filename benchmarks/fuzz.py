"""What becomes of damaged files: sound inputs of every surface, damaged by seed.

    KERAS_BACKEND=torch python benchmarks/fuzz.py
    KERAS_BACKEND=torch python benchmarks/fuzz.py --surfaces index --cases 99 --list

A surface of `fuzz_surfaces.py` writes sound files and says what they give. A case
damages one of them: cuts it, changes bits, runs of bytes or numbers, inserts, leaves
out or repeats, anywhere or near an end; or changes what lies behind the checksums of a
zip or a tar, or one value of JSON or text. Cases run in a child process with limits of
time and memory. Ends with 1 where one comes out otherwise than right, with one clear
error of this package, or changed where the format has nothing that could tell.
"""

import argparse
import collections
import contextlib
import importlib
import io
import itertools
import json
import os
import re
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import tables
from benchmarks.runs import ROOT

PACKAGE = str(ROOT / "keras_t2t")
SECONDS, START_SECONDS = 30, 300  # for a case, and for a backend on a busy machine
BYTES = 3 << 30  # that the cases of a process may add to its memory

RIGHT, CLEAR, CHANGED = "right", "one clear error", "undetectable"
TRACEBACK, HANG, CRASH, WRONG = "traceback", "hang", "crash", "silently wrong"
OUTCOMES = RIGHT, CLEAR, CHANGED, TRACEBACK, HANG, CRASH, WRONG
ALLOWED = OUTCOMES[:3]

# === Surfaces ===
# What a surface can tell: all that is changed, what is cut, nothing. ALWAYS: whatever
# happens to the file, what is right is had in another way.
ALL, CUT, NOTHING, ALWAYS = "all", "cut", "nothing", "always"


class Surface(NamedTuple):
    """One kind of input. `start` takes a folder and returns the sound files that it
    wrote there, and a function of the damaged one that gives what can be compared."""

    row: str  # of the table
    tells: str
    cases: int
    start: Callable


class Wrong(Exception):
    """Raised by a surface: refused or not, something is not as it should be."""


# === Damage: of bytes, at an index ===
def place(size, rng):
    """An index, a third of them anywhere, the others near the first or last byte."""
    near = min(size - 1, int(size ** rng.uniform()) - 1)
    return int([rng.integers(size), near, size - 1 - near][rng.integers(3)])


def cut(data, at, rng):
    return data[:at]


def flip(data, at, rng):
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[at] ^= 1 << rng.integers(8)
        at = place(len(data), rng)
    return data


def overwrite(data, at, rng):
    """Zeros, noise, or what counts, sizes and offsets may be at worst."""
    some = rng.bytes(int(rng.integers(1, 65)))
    worst = struct.pack("<I", 2**32 - 1), struct.pack(">I", 2**31 - 1)
    worst += struct.pack("<Q", 2**62), struct.pack("<Q", 2**64 - 1)
    new = [some, bytes(len(some)), *worst][rng.integers(6)]
    return data[:at] + new[: len(data) - at] + data[at + len(new) :]


def insert(data, at, rng):
    return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def leave_out(data, at, rng):
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def repeat(data, at, rng):
    return data[: at + int(rng.integers(1, 1025))] + data[at:]


KINDS = cut, cut, flip, flip, flip, overwrite, overwrite, insert, leave_out, repeat


# === Damage that no checksum tells ===
ODD_VALUES = (
    *(None, True, -1, 0, 0.5, 2**31, 10**30, float("nan"), float("inf")),
    *("", "x", "../../x", "evilmod.x", "<b>[x](http://y)`\x1b[2J\n", "\udcff"),
    *("9" * 5000, [], {}, [[]], ["x"] * 3, {"a": 1}),
)


def odd_json(data, rng):
    """One value of a tree of JSON is another, or left out."""
    whole = {"": json.loads(data)}
    holders, places = [whole], []
    for holder in holders:
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                holders.append(holder[key])
    holder, key = places[rng.integers(len(places))]
    if rng.integers(4) or holder is whole:
        holder[key] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
    else:
        del holder[key]
    return json.dumps(whole[""]).encode()


def odd_text(data, rng):
    """One word or number of a text is another."""
    words = list(re.finditer(rb"[^,\s]+", data))
    first, last = words[rng.integers(len(words))].span()
    new = str(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return data[:first] + new.encode(errors="surrogateescape") + data[last:]


def odd_zip(data, rng):
    """One record is damaged."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    chosen = list(records)[rng.integers(len(records))]
    if records[chosen]:
        records[chosen], _ = damaged(Path(chosen), records[chosen], rng)
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return file.getvalue()


def odd_tar(data, rng):
    """Some bytes of a header."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [member.offset for member in archive]
    data, first = bytearray(data), members[rng.integers(len(members))]
    for _ in range(rng.integers(1, 4)):
        data[first + rng.integers(345)] = rng.choice((0, 47, 48, 49, 55, 128, 255))
    data[first + 148 : first + 156] = b" " * 8
    data[first + 148 : first + 156] = b"%06o\0 " % sum(data[first : first + 512])
    return bytes(data)


def odd_header(data, rng):
    """The JSON with which safetensors begins."""
    (length,) = struct.unpack("<Q", data[:8])
    header = odd_json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


FORGED = {".json": odd_json, ".csv": odd_text, ".txt": odd_text, ".tar": odd_tar}
FORGED[".safetensors"] = odd_header


def damaged(path, data, rng):
    """(the damaged bytes, how)."""
    forge = odd_zip if data[:4] == b"PK\3\4" else FORGED.get(path.suffix)
    if forge and rng.integers(2):
        return forge(data, rng), "forged"
    kind = KINDS[rng.integers(len(KINDS))]
    return bytes(kind(bytearray(data), place(len(data), rng), rng)), kind.__name__


# === In the child ===
def outcome_of(use, path, surface, expected, how):
    """(outcome, the error in one line)."""
    try:
        result = use(path)
    except Wrong as error:
        return WRONG, str(error)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} [{frame.filename}:{frame.lineno}]"
        clear = is_clear(error) and surface.tells != ALWAYS
        return CLEAR if clear else TRACEBACK, text
    if result == expected:
        return RIGHT, ""
    told = how == surface.tells or (how != "forged" and surface.tells in (ALL, ALWAYS))
    return WRONG if told or expected is None else CHANGED, ""


def is_clear(error):
    """Whether this package itself raised a plain error whose first line tells all; what
    follows may only be an indented list, such as the tensors that are missing."""
    first, *others = str(error).splitlines() or [""]
    return (
        isinstance(error, (ValueError, OSError, ImportError))
        and not isinstance(error, UnicodeError)
        and traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE)
        and 0 < len(first) < 1000
        and all(line.startswith("  ") for line in others)
    )


def work(answers, module, cases, seed, seconds):
    """Sends None once a sound file is read, then (outcome, text, how) of each case."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):  # what libraries print, and crashes
        os.dup2(nowhere, output)
    warnings.simplefilter("ignore")
    signal.alarm(START_SECONDS)  # which ends this process, whatever it hangs in
    surfaces = importlib.import_module(module).SURFACES
    for name, group in itertools.groupby(cases, key=lambda case: case[0]):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["KERAS_HOME"] = f"{folder}/home"
            numbers = [number for _, number in group]
            for answer in answered(name, surfaces[name], numbers, seed, Path(folder)):
                answers.send(answer)
                signal.alarm(seconds)
        signal.alarm(START_SECONDS)
    os._exit(0)  # libraries may end late, or crash


def answered(name, surface, numbers, seed, folder):
    files, use = surface.start(folder)
    sound = {path: path.read_bytes() for path in files}
    expected = dict.fromkeys(files)
    for path in files:
        # A format may be refused as a whole.
        with contextlib.suppress(ValueError):
            expected[path] = use(path)
    if not any(expected.values()):
        raise ValueError("what is sound is refused")
    yield None
    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, -1))
    for number in numbers:
        rng = np.random.default_rng([zlib.crc32(name.encode()), number, seed])
        path = files[rng.integers(len(files))]
        data, how = damaged(path, sound[path], rng)
        path.write_bytes(data)
        found = outcome_of(use, path, surface, expected[path], how)
        path.write_bytes(sound[path])
        yield *found, f"{how} {path.name}"


# === In the parent ===
def run(module, counts, seed=0, seconds=SECONDS, report=None):
    """{surface: `Counter` of the outcomes of its cases}.

    `counts` says how many cases of each surface of the module are tried, and `report`
    takes a text for each that may not be.
    """
    cases = [(name, i) for name, count in counts.items() for i in range(count)]
    found = {name: collections.Counter() for name in counts}
    told = []  # the answers to the first of `cases`, as far as they go
    fresh = get_context("spawn")
    while left := cases[len(told) :]:
        answers, far = fresh.Pipe(duplex=False)
        given = far, module, left, seed, seconds
        child = fresh.Process(target=work, args=given, daemon=True)
        child.start()
        far.close()
        new = []
        with contextlib.suppress(EOFError, OSError):
            while True:
                new.append(answers.recv())
        child.join()
        told += filter(None, new)
        if len(told) < len(cases):  # it ended in the next case, or before it
            name, _ = cases[len(told)]
            surfaces = list(dict.fromkeys(name for name, _ in left))
            if surfaces.index(name) >= new.count(None):  # each says None as it starts
                raise RuntimeError(f"{name} did not start, or refuses what is sound")
            late = child.exitcode == -signal.SIGALRM
            told.append((HANG if late else CRASH, "", ""))
    for (name, number), (outcome, text, how) in zip(cases, told, strict=True):
        found[name][outcome] += 1
        if report and outcome not in ALLOWED:
            report(f"{name} {number}: {outcome}: {how}: {text[:300]}")
    return found


def main():
    module = "benchmarks.fuzz_surfaces"
    surfaces = importlib.import_module(module).SURFACES
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    rows = list(dict.fromkeys(surface.row for surface in surfaces.values()))
    chosen = [*surfaces, *rows]
    add("--surfaces", nargs="+", choices=chosen, default=rows, metavar="NAME")
    add("--cases", type=int, default=10**6, help="of each surface, at most")
    add("--list", action="store_true", help="name what may not be")
    arguments = parser.parse_args()
    report = print if arguments.list else None
    found = {}
    for row in rows:
        counts = {
            name: min(arguments.cases, surface.cases)
            for name, surface in surfaces.items()
            if surface.row == row and {name, row} & set(arguments.surfaces)
        }
        begin = time.monotonic()
        outcomes = run(module, counts, report=report)
        if counts:
            found[row] = sum(outcomes.values(), collections.Counter())
            print(f"{row}: {time.monotonic() - begin:.0f} s", flush=True)
    cells = [
        [row, *(f"{n:,}" for n in (counted.total(), *(counted[o] for o in OUTCOMES)))]
        for row, counted in found.items()
    ]
    print(tables.table(("input", "tried", *OUTCOMES), cells, "---:"))
    return not all(set(counted) <= set(ALLOWED) for counted in found.values())


if __name__ == "__main__":
    from benchmarks import fuzz  # the surfaces raise its `Wrong`, not this module's

    sys.exit(fuzz.main())
