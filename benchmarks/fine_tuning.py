"""What training adapters, or the head alone, saves beside training all weights.

    python benchmarks/fine_tuning.py path/to/photographs --weights runs/pretrained \
        --epochs 3

Each way is a run of `finetune` in a process of its own, with the settings of the recipe
but for those given here and Grain's reader. Prints a table in Markdown: weights that
are trained, the most memory that the process held, images per second of training, the
size of the file that one keeps, and top-1 after the last epoch.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runs import ROOT, run
from benchmarks.tables import line, table

WAYS = {  # flags, and the file of a run that holds what was learnt
    "all weights": ([], "final.keras"),
    "LoRA, rank 8": (["--lora", "8"], "adapters.lora.h5"),
    "linear probe": (["--linear-probe"], "final.keras"),
}


def row(name, flags, file):
    """The cells of one way."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        ended = run(ROOT / "examples" / "finetune.py", *flags, "--output", out)
        size = (out / file).stat().st_size
    (trained,) = re.findall(r"training .*: ([\d,]+) weights", ended.printed)
    result = json.loads(ended.printed.splitlines()[-1])
    return (
        *(name, trained, f"{ended.memory / 1e9:.2f}"),
        f"{result['images_per_second']:.0f}",
        f"`{file}`, {size / 1e6:.2f}",
        f"{result['val_top1']:.1%}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("photographs")
    add("--weights", required=True)
    add("--epochs", default="3")
    add("--backend", default="torch")
    add("--image-size", help="default: that of the weights")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    flags = [arguments.photographs, "--reader", "grain"]
    for name in ("weights", "epochs", "backend"):
        flags += [f"--{name}", getattr(arguments, name)]
    if arguments.image_size is not None:
        flags += ["--image-size", arguments.image_size]
    head = ("trained", "weights", "memory (GB)", "images/s", "file (MB)", "top-1")
    print(table(head, [], "---:"), end="")
    for name in arguments.ways:
        own, file = WAYS[name]
        print(line(row(name, [*flags, *own], file)), end="", flush=True)


if __name__ == "__main__":
    main()
