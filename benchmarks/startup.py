"""How long the package takes before it does anything.

    KERAS_BACKEND=jax python benchmarks/startup.py

Prints the seconds that `import keras_t2t` adds to `import keras`, and those of building
the largest model, each the median of five fresh processes.
"""

import statistics
import subprocess
import sys

TIMED = """
import time
start = time.perf_counter()
import keras
imported = time.perf_counter()
import keras_t2t
added = time.perf_counter()
keras_t2t.T2TViT24()
built = time.perf_counter()
print(imported - start, added - imported, built - added)
"""


def main():
    runs = []
    for _ in range(5):
        output = subprocess.run(
            [sys.executable, "-c", TIMED], capture_output=True, text=True, check=True
        ).stdout
        runs.append([float(number) for number in output.split()])
    labels = ("import keras", "import keras_t2t adds", "building T2TViT24")
    for label, seconds in zip(labels, zip(*runs, strict=True), strict=True):
        print(f"{label}: {statistics.median(seconds):.2f} s")


if __name__ == "__main__":
    main()
