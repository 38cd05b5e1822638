"""What becomes of damaged, hostile and odd files: counts per kind of damage.

    KERAS_BACKEND=jax python benchmarks/bad_input.py

Each `bad_input_GROUP.py` beside this file is a group of cases.

Every case is tried in a child process with limits of time and memory. A case comes out
right, or with one clear error that this package raises; "no checksum" is a change of
numbers in a format that cannot tell. Anything else is counted in its own column, and
the script then ends with 1 (more than 1% of unclear errors, or a single one of the
columns after it). `--list` names those cases and their errors.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import bad_input_harness as harness

PREFIX = "bad_input_"
GROUPS = sorted(
    path.stem.removeprefix(PREFIX)
    for path in Path(__file__).parent.glob(f"{PREFIX}*.py")
    if path.stem != "bad_input_harness"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--kinds", nargs="+", help="only these rows of the table")
    parser.add_argument("--fraction", type=float, default=1.0, help="of each kind")
    parser.add_argument("--list", action="store_true", help="name what is not allowed")
    arguments = parser.parse_args()

    def report(result):
        unwanted = (harness.UNCLEAR, *harness.NEVER)
        if arguments.list and result.outcome in unwanted:
            kind, name = result.case
            print(f"{result.outcome}: {kind}: {name}: {result.detail}", flush=True)

    passed = True
    for group in arguments.groups:
        module = f"benchmarks.{PREFIX}{group}"
        results = harness.run(module, arguments.fraction, arguments.kinds, report)
        print(f"\n**{group}**\n\n{harness.table(results)}", flush=True)
        passed = passed and not harness.failures(results)
    return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
