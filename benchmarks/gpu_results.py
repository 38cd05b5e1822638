"""The lines of JSON that `gpu.py` leaves, each appended the moment it is known."""

import contextlib
import importlib.metadata
import json
import re
import shutil
import subprocess

LIBRARIES = ("keras", "jax", "torch", "timm", "grain", "pillow")
KEPT = 6000  # characters of what a process printed
# Where a file lies on the machine is nobody's business.
FOLDERS = re.compile(r"(?<![\w.…/])/(?:[\w.+-]+/)+")


def append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{json.dumps(line)}\n")


def read(path):
    """The whole lines of a file, which may not be there."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # cut off by a kill
            lines.append(json.loads(text))
    return lines


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


def kept(text):
    """What a process printed: each line once, no folders, its beginning and end."""
    lines = dict.fromkeys(line.rstrip() for line in text.splitlines())
    text = FOLDERS.sub("…/", "\n".join(lines))
    if len(text) > KEPT:
        text = f"{text[: KEPT // 3]}\n[…]\n{text[-2 * KEPT // 3 :]}"
    return text
