"""Runs cases of bad input in a child process and says what became of each.

A module of cases has three functions:

    cases(fraction)   -> list of `Case`: all of them at 1, a part of each kind below
    prepare(folder)   writes what the cases are made of, once
    start(folder)     -> function of a `Case` that tries it in `folder`

The function returns `RIGHT`, `WRONG` (accepted without a word, with a wrong result) or
`UNCHECKED` (the same, where the format has no checksum that could tell), or lets the
package's error escape. A case that would run code touches `folder / WITNESS`.
"""

import collections
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = str(ROOT / "keras_t2t")
WITNESS = "code-was-run"

RIGHT, CLEAR, UNCHECKED = "right", "clear error", "no checksum"
UNCLEAR, WRONG, HANG, CRASH = "unclear error", "silently wrong", "hang", "crash"
CODE, MEMORY = "code run", "too much memory"
OUTCOMES = (RIGHT, CLEAR, UNCHECKED, UNCLEAR, WRONG, HANG, CRASH, CODE, MEMORY)
NEVER = (WRONG, HANG, CRASH, CODE, MEMORY)
UNCLEAR_ALLOWED = 0.01  # of all cases

SECONDS = 30  # for one case
START_SECONDS = 300  # for importing a backend on a busy machine
BYTES = 2 << 30  # that one case may add to the resident memory


class Case(NamedTuple):
    """One try: what kind of damage, and which one of that kind."""

    kind: str
    name: str


class Result(NamedTuple):
    case: Case
    outcome: str
    detail: str  # the error in one line, or empty


# === In the child ===
def judge(attempt, case):
    """(outcome, detail) of one case, but for what only the parent can see."""
    try:
        return attempt(case), ""
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        clear = is_clear(error)
        if not clear:
            message += f" [{where(error)}]"
        return CLEAR if clear else UNCLEAR, message


def is_clear(error):
    """Whether this package itself raised a plain error whose first line tells all.

    The lines after the first may only be an indented list, such as the tensors that
    are missing.
    """
    first, *others = str(error).splitlines() or [""]
    return (
        isinstance(error, (ValueError, OSError, ImportError))
        and not isinstance(error, UnicodeError)
        and last_frame(error).filename.startswith(PACKAGE)
        and 0 < len(first) < 1000
        and all(line.startswith("  ") for line in others)
    )


def last_frame(error):
    return traceback.extract_tb(error.__traceback__)[-1]


def where(error):
    frame = last_frame(error)
    return f"{Path(frame.filename).name}:{frame.lineno}"


def work(module, folder, preparing):
    """Answers one line of JSON on standard output for each case on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    module = importlib.import_module(module)
    if preparing:
        module.prepare(folder)
    attempt = module.start(folder)
    print(json.dumps(["started", ""]), file=answers, flush=True)
    for line in sys.stdin:
        answer = judge(attempt, Case(*json.loads(line)))
        print(json.dumps(answer), file=answers, flush=True)


# === In the parent ===
class Worker:
    """A child process that tries one case after another."""

    def __init__(self, module, folder, preparing):
        self.log = open(Path(folder) / "worker.log", "ab")  # noqa: SIM115
        arguments = [module, str(folder), str(int(preparing))]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bad_input_harness", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=ROOT,
            start_new_session=True,
        )
        outcome, detail = self.answer(START_SECONDS, 1 << 40)
        if outcome != "started":
            raise RuntimeError(f"the worker did not start: {outcome} {detail}")

    def ask(self, case):
        limit = resident(self.process.pid) + BYTES
        self.process.stdin.write(json.dumps(case).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(SECONDS, limit)

    def answer(self, seconds, limit):
        """Waits for the answer; the process is ended where it takes too much."""
        end = time.monotonic() + seconds
        while not select.select([self.process.stdout], [], [], 0.02)[0]:
            if time.monotonic() > end:
                self.stop()
                return HANG, f"no answer within {seconds} s"
            if resident(self.process.pid) > limit:
                self.stop()
                return MEMORY, f"more than {BYTES >> 20} MiB more"
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.stop()
        return CRASH, f"the process ended with {self.process.returncode}"

    def stop(self):
        """Ends the process and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.communicate()
        self.log.close()

    @property
    def running(self):
        return self.process.poll() is None


def resident(pid):
    """Bytes of memory that a process has now; 0 where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(module, fraction=1.0, kinds=None, report=None):
    """Tries the cases of a module; returns a list of `Result`.

    Args:
        module: importable name.
        fraction: float in (0, 1], the part of each kind that is tried.
        kinds: names of the kinds to try; None for all.
        report: function that is called with each `Result` as it comes, or None.
    """
    cases = importlib.import_module(module).cases(fraction)
    cases = [case for case in cases if kinds is None or case.kind in kinds]
    results = []
    with tempfile.TemporaryDirectory(prefix="bad-input-") as folder:
        witness = Path(folder) / WITNESS
        worker = Worker(module, folder, preparing=True)
        try:
            for case in cases:
                if not worker.running:
                    worker = Worker(module, folder, preparing=False)
                outcome, detail = worker.ask(case)
                if witness.exists():
                    witness.unlink()
                    outcome = CODE
                results.append(Result(case, outcome, detail))
                if report is not None:
                    report(results[-1])
        finally:
            worker.stop()
    return results


def table(results):
    """The counts of each outcome per kind, as a Markdown table."""
    counts = collections.defaultdict(collections.Counter)
    for result in results:
        counts[result.case.kind][result.outcome] += 1
    counts["all"] = sum(counts.values(), collections.Counter())
    lines = [
        f"| kind | tried | {' | '.join(OUTCOMES)} |",
        "| --- |" + " --- |" * (1 + len(OUTCOMES)),
    ]
    lines += [
        f"| {kind} | {row.total():,} | "
        + " | ".join(f"{row[outcome]:,}" for outcome in OUTCOMES)
        + " |"
        for kind, row in counts.items()
    ]
    return "\n".join(lines)


def failures(results):
    """The results that may not be; unclear errors are among them above 1%."""
    unclear = [result for result in results if result.outcome == UNCLEAR]
    bad = [result for result in results if result.outcome in NEVER]
    return bad + (unclear if len(unclear) > UNCLEAR_ALLOWED * len(results) else [])


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), bool(int(sys.argv[3])))
