"""Images per second, first step and memory of every model, backend and path.

    python benchmarks/throughput.py --modes training --models T2TViT14 \
        --implementations reference jax torch --batch-sizes 64

What is compared runs in processes of its own that take turns, a round each, so that a
noisy machine treats all alike. Ratios are to `reference`, the torch implementation in
tests/reference, eager. Prints a table in Markdown after each comparison.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import table

WORKER = Path(__file__).with_name("throughput_worker.py")
REFERENCE, MATMUL = "reference", "matmul"
BACKENDS = ("jax", "tensorflow", "torch")


# === Implementations ===
DESIGNS = {
    "jax": ("", "readable", "remat", "scripts", "padded"),
    "tensorflow": ("", "readable", "remat", "graph"),
    "torch": ("", "readable", "remat", "scripts", "compiled"),
    REFERENCE: ("", "compiled"),
    "timm:NAME": ("", "compiled"),
}


def subject(name, model):
    """What the worker needs to make implementation `name` of `model`."""
    source, _, design = name.partition(":")
    kind = source
    if source == "timm":
        kind, (model, _, design) = "timm:NAME", design.partition(":")
    if design not in DESIGNS.get(kind, ()) or not model:
        accepted = [f"{k}:{d}".rstrip(":") for k, ds in DESIGNS.items() for d in ds]
        accepted = ", ".join(accepted)
        raise ValueError(f"implementation must be one of {accepted}, got {name!r}")
    if source in BACKENDS:
        return {"kind": "keras", "model": model, "backend": source, "design": design}
    return {"kind": "torch", "model": model, "source": source, "design": design}


class Worker:
    """A process that runs steps of one implementation when asked."""

    def __init__(self, **subject):
        self.process = subprocess.Popen(
            [sys.executable, WORKER, json.dumps(subject)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[-1]} ended: {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        print(line, file=self.process.stdin, flush=True)
        return self.answer()

    def seconds(self, steps):
        return self.ask(steps)["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# === One comparison ===
def compare(names, model, setting, rounds, seconds):
    """Rows of the table, one per implementation; those that fail are left out.

    Each takes its turn `rounds` times, for about so many `seconds`.
    """
    workers = {}
    for name in names:
        try:
            workers[name] = Worker(**subject(name, model), **setting)
        except RuntimeError as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
    if not workers:
        return []
    workers[MATMUL] = Worker(kind="matmul", **setting)
    batch_size, rates = setting["batch_size"], {name: [] for name in workers}
    steps = {
        name: max(1, round(seconds / worker.seconds(1)))
        for name, worker in workers.items()
    }
    for _ in range(rounds):
        for name, worker in workers.items():
            rates[name].append(batch_size * steps[name] / worker.seconds(steps[name]))
    passes = 3 if setting["mode"] == "training" else 1
    peak = statistics.median(rates.pop(MATMUL)) * workers[MATMUL].start["macs"]
    rows = []
    for name, own in rates.items():
        rate, worker = statistics.median(own), workers[name]
        saved = worker.ask("saved")["saved"]
        rows.append(
            (
                name,
                f"{rate:.1f} ({min(own):.1f} to {max(own):.1f})",
                ratio(own, rates.get(REFERENCE)),
                f"{rate * worker.start['macs'] * passes / peak:.0%}",
                f"{worker.start['first_step']:.1f}",
                f"{worker.start['memory'] / 1e6:.0f}",
                "" if saved is None else f"{saved / 1e6:.0f}",
            )
        )
    for worker in workers.values():
        worker.close()
    return rows


def ratio(rates, reference):
    """How many times faster, the median over the rounds; empty without a reference."""
    if reference is None:
        return ""
    times = map(float.__truediv__, rates, reference)
    return f"{statistics.median(times):.2f}"


HEADER = (
    *("implementation", "images/s (slowest to fastest)", "ratio", "of matmul peak"),
    *("first step, s", "peak memory, MB", "saved, MB"),
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog="An implementation is a backend (jax, tensorflow, torch), with "
        ":readable for the path that writes patches or :remat for rematerialisation; "
        "jax:padded, with a token more for cuDNN's attention; torch:compiled; "
        "jax:scripts and torch:scripts, with the training scripts' AdamW, on all "
        "devices; "
        "tensorflow:graph, without XLA; "
        "reference or timm:NAME, with :compiled for torch.compile.",
    )
    add = parser.add_argument
    add("--models", nargs="+", default=["T2TViT7", "T2TViT14"])
    add("--modes", nargs="+", default=["inference", "training"])
    add("--implementations", nargs="+", required=True)
    add("--batch-sizes", nargs="+", type=int, default=[16])
    add("--image-sizes", nargs="+", type=int, default=[224])
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=3.0, help="of one round")
    arguments = parser.parse_args()
    names = arguments.implementations
    try:
        for name in names:
            subject(name, arguments.models[0])
    except ValueError as error:
        parser.error(str(error))
    ran = False
    for mode, model, batch_size, image_size in itertools.product(
        *(arguments.modes, arguments.models),
        *(arguments.batch_sizes, arguments.image_sizes),
    ):
        setting = {"mode": mode, "precision": "float32", "batch_size": batch_size}
        setting["image_size"] = image_size
        rows = compare(names, model, setting, arguments.rounds, arguments.seconds)
        if rows:
            ran = True
            size = f"batch {batch_size}, {image_size} px"
            name = rows[0][0]
            first = name[5:] if name.startswith("timm:") else model
            title = f"**{first}, {mode}, float32, {size}**"
            print(f"{title}\n\n{table(HEADER, rows)}", flush=True)
    if not ran:
        sys.exit("no implementation ran")


if __name__ == "__main__":
    main()
