"""One prepared run for a machine with a GPU that is at hand for minutes.

    python benchmarks/gpu.py --pack path/to/photographs path/to/tars --limit-mib 48
    python benchmarks/gpu.py --minutes 8.7 --data-dir path/to/tars --output DIR
    python benchmarks/gpu.py --rehearse --output DIR

Tasks come in the order of their worth. Each of their cells (`gpu_tasks.py`) has a
process and a time limit of its own, and its results are appended to
`DIR/results.jsonl` the moment they are known: a run that is cut off loses its last
cell, and the same command goes on after the others. What the processes print is in
`DIR/log.txt`, the tables (`gpu_tables.py`) in `DIR/tables.md`. --rehearse does all of
it at toy size, on a CPU.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.data_layouts import write_folders, write_tars
from benchmarks.gpu_scripts import kept
from benchmarks.gpu_tables import tables
from benchmarks.gpu_tasks import TASKS
from benchmarks.kill_storm import photographs
from benchmarks.records import append_line, read_lines
from benchmarks.runs import run

LIBRARIES = ("keras", "jax", "torch", "timm", "grain", "pillow")


# === The run ===
def work(plan, results, end, command, about, patience=1):
    """Runs the cells of each task until `end`, but for what `results` has.

    Args:
        plan: {task: its cells}, both in the order of their worth.
        end: of `time.monotonic`.
        command: function from a cell's line to what Python runs for it.
        about: dict that all lines begin with.
        patience: what the cells' time limits are multiplied by.
    """
    done = [place(line) for line in read_lines(results) if line.get("ended") == "well"]
    shares = {task: TASKS[task].share for task in plan}
    for task, cells in plan.items():
        now = time.monotonic()
        # What a task leaves goes to those that follow.
        task_end = now + (end - now) * shares[task] / sum(shares.values())
        del shares[task]
        lines = [{**about, "task": task, "cell": cell} for cell in cells]
        lines = [line for line in lines if place(line) not in done]
        for left, line in zip(range(len(lines), 0, -1), lines, strict=True):
            limit = patience * TASKS[task].limit
            limit = min(limit, task_end - time.monotonic())
            if limit < TASKS[task].least:
                ended = {"ended": f"{left} from here on not begun"}
                append_line(results, {**line, **ended})
                break
            ended = alone(command(line), limit, results.with_name("log.txt"))
            append_line(results, {**line, **ended})
            print(task, *line["cell"].values(), ended["ended"], flush=True)


def place(line):
    return [line[part] for part in ("device", "rehearsal", "task", "cell")]


def alone(command, limit, log):
    """How a process ended; whatever it started ends with it."""
    end = time.monotonic() + limit
    late = lambda: time.monotonic() > end  # noqa: E731
    process = run(*command, kill=late, check=False, group=True)
    ended = "well" if process.code == 0 else f"exit code {process.code}"
    if process.killed:
        ended = f"stopped after {limit:.0f} s"
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"=== {command[-1]}: {ended}\n{process.printed}\n")
    figures = {"ended": ended, "took": round(process.seconds, 1)}
    return figures if ended == "well" else {**figures, "printed": kept(process.printed)}


def machine():
    """The device and what is installed, as each line tells it."""
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[library] = importlib.metadata.version(library)
    device = ""
    if shutil.which("nvidia-smi"):
        query = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        told = subprocess.run(query, capture_output=True, text=True, check=False)
        device = told.stdout.partition("\n")[0].strip()
    return {"device": device or "CPU", "versions": versions}


# === Photographs ===
def pack(folder, out, size, limit):
    """Writes photographs `train/<class>/*`, `val/<class>/*` as tars of `limit` bytes.

    The shorter side gets `size` pixels; what is smaller stays so. Some drawn at random
    are left out where all take more.
    """
    from PIL import Image

    paths = [*sorted(folder.glob("train/*/*")), *sorted(folder.glob("val/*/*"))]
    if out.exists() or not paths:
        why = f"{out} is there already" if paths else f"no train/<class>/* in {folder}"
        raise ValueError(f"--pack: {why}")
    files, left = {}, limit - 2 * 10240  # with which tars end
    for number in np.random.default_rng(0).permutation(len(paths)):
        split, kind, _ = paths[number].parts[-3:]
        with Image.open(paths[number]) as image:
            image = image.convert("RGB")
        least = min(image.size)
        image.thumbnail([-(-side * size // least) for side in image.size])
        image.save(encoded := io.BytesIO(), "JPEG", quality=85)
        left -= 4 * 512 + encoded.tell()  # headers, the label, what fills blocks up
        if left < 0:
            break
        files[f"{split}/{kind}/{number}.jpg"] = encoded.getvalue()
    part = out.with_name(f"{out.name}.part")
    write_tars(part, dict(sorted(files.items())), shards=1)
    part.rename(out)
    print(f"{len(files)} of {len(paths)} photographs in {out}")


# === Command line ===
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--minutes", type=float, default=8.7, help="of a run, but for a rehearsal")
    add("--output", type=Path, metavar="DIR", help="for results, tables and log")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--data-dir", type=Path, metavar="DIR", help="photographs, ten classes at most")
    add("--rehearse", action="store_true", help="toy sizes, on a CPU")
    add("--pack", nargs=2, type=Path, metavar=("FOLDER", "OUT"), help="write tars")
    add("--size", type=int, default=144, help="of --pack: pixels of the shorter side")
    add("--limit-mib", type=float, default=48.0, help="of --pack: of all tars")
    arguments = parser.parse_args()
    if (arguments.pack is None) == (arguments.output is None):
        parser.error("give --output DIR for a run, or --pack FOLDER OUT")
    if arguments.pack:
        try:
            return pack(*arguments.pack, arguments.size, arguments.limit_mib * 2**20)
        except (ValueError, OSError) as error:
            parser.error(error)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so end the process
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's errors, for the log
    measure(arguments)


def measure(arguments):
    # A rehearsal is about what works, on whatever machine.
    minutes, patience = (600, 5) if arguments.rehearse else (arguments.minutes, 1)
    end = time.monotonic() + 60 * minutes
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = arguments.output.resolve() / "results.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data_dir and arguments.data_dir.resolve()
        if arguments.rehearse and not data:
            write_folders(Path(folder, "made"), photographs())
            pack(Path(folder, "made"), data := Path(folder, "photographs"), 32, 2**20)
        settings = {"results": results, "data_dir": data, "folder": folder}

        def command(line):
            given = json.dumps({**settings, "line": line}, default=str)
            return ["-m", "benchmarks.gpu_tasks", given]

        plan = {task: TASKS[task].cells(arguments.rehearse) for task in arguments.tasks}
        about = {"rehearsal": arguments.rehearse, **machine()}
        work(plan, results, end, command, about, patience=patience)
    written = tables(read_lines(results), arguments.rehearse)
    results.with_name("tables.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
