"""Bad input to any script: exit code 2, one line of its own, and nothing is left."""

import json
import shlex

import pytest
import torch
from PIL import Image

from tests.checkpoints import helpers
from tests.examples.small_run import random_model, write_run

ROWS = [
    ("train_imagenet.py --batch-size 0", "batch_size must be an integer at least 1"),
    ("train_imagenet.py --model T2TViT15", "unknown model 'T2TViT15': did you mean"),
    ("train_imagenet.py --dataset cifar11", "cifar10"),
    ("train_imagenet.py --data-dir nowhere", "'nowhere' is not an existing folder"),
    ("train_imagenet.py --output /proc/run", "output_dir '/proc/run' cannot be writt"),
    ("train_imagenet.py --image-size 192x256", "must be a square"),
    ("train_imagenet.py --backend numpy", "invalid choice: 'numpy'"),
    ("train_imagenet.py --config gone.json", "--config must be a run's config.json"),
    ("train_imagenet.py --config odd", "`epochs`: epochs must be an integer at least"),
    ("train_imagenet.py --config tuned/config.json", "finetune --config repeats it"),
    ("train_imagenet.py --config run --recipe modern", "exclude each other"),
    ("transfer_learning.py", "'cifar10' is not prepared"),
    ("transfer_learning.py --weights gone.pth", "weights='gone.pth' is no file or run"),
    ("transfer_learning.py --backbone-rate -1", "backbone_rate must be at least 0"),
    ("transfer_learning.py --dataset digits --linear-probe --drop-path .1", "freezes"),
    ("finetune.py --resume", "give PHOTOS, a folder of photographs, or --dataset NAME"),
    ("finetune.py photos --dataset digits", "PHOTOS takes the place of --data-dir"),
    ("evaluate.py", "'imagenet2012' is not prepared"),
    ("evaluate.py --weights run --raw", "--raw chooses the raw weights of a torch"),
    ("convert_checkpoint.py x.keras --raw --output y.pth", "--raw chooses the raw"),
    ("convert_checkpoint.py x.pth --output y.pth --model T2TViT15", "did you mean"),
    ("evaluate.py --weights photos", "is no run folder"),
    ("evaluate.py --weights run --data-dir few", "has 1 classes, and 'run' has 7"),
    ("evaluate.py --weights run --dataset digits", "10 classes, and 'run' has 7"),
    ("evaluate.py --weights run --output /proc/x", "--output '/proc/x' cannot"),
    ("evaluate.py --weights run --output photos", "'photos' holds other files"),
    ("evaluate.py --weights run --expect", "no accuracy is published for run"),
    ("evaluate.py --weights run --crop 0", "crop must be greater than 0"),
    ("predict.py --weights gone.pth 0.jpg", "weights='gone.pth' is no file or run"),
    ("predict.py --weights x.pth --classes few.json 0.jpg", "list of 10 class names"),
    ("predict.py --weights one.pth 0.jpg", "have one output, which names no class"),
    ("predict.py --weights x.pth broken.jpg", "cannot identify image file"),
    ("predict.py --weights x.pth gone.jpg", "there is no file 'gone.jpg'"),
    ("predict.py --weights x.pth gone*.jpg", "no file matches 'gone*.jpg'"),
    ("predict.py --weights x.pth --top 0 0.jpg", "`--top` must be a positive"),
    ("predict.py --weights x.pth --csv /proc/x 0.jpg", "--csv '/proc/x' cannot"),
    ("predict.py --weights x.pth --json . 0.jpg", "--json '.' is a folder, not a file"),
    ("predict.py --weights x.pth --json x --csv x 0.jpg", "are one file, 'x'"),
    ("predict.py --image-size 22x 0.jpg", "PIXELS or HEIGHTxWIDTH, such as 224"),
    ("predict.py --image-size 0x8 0.jpg", "got '0x8'"),
    ("visualize_features.py broken.jpg --weights x.pth", "broken.jpg is no image"),
    ("visualize_features.py gone.jpg --weights x.pth", "there is no file 'gone.jpg'"),
    ("visualize_features.py 0.jpg --weights x.pth --stages z", "'z' is no layer of"),
    ("visualize_features.py 0.jpg --weights x.pth --channels 0", "`channels` must be"),
    ("plot_runs.py photos --output runs.png", "is no run folder"),
    ("convert_checkpoint.py gone.pth --output y.keras", "must be an existing file"),
    ("convert_checkpoint.py x.onnx --output y.keras", "`path` must end in one of"),
    ("convert_checkpoint.py broken.pth --output y.keras", "is damaged or no torch"),
    ("export_model.py --format h5", "`format` must be one of ['keras', 'litert'"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, a checkpoint, photographs; and what is none of these."""
    folder = tmp_path_factory.mktemp("bad_input")
    names = list("abcdefg")
    for place in ("few/val/rose", *(f"photos/val/{name}" for name in names)):
        (folder / place).mkdir(parents=True)
        (folder / place / "1.png").write_bytes(b"not decoded")
    trained = {"epochs": 2, "batch_size": 4}
    write_run(folder / "run", names, data_dir=str(folder / "photos"), **trained)
    write_run(folder / "odd", names, **{**trained, "epochs": 0})
    write_run(folder / "tuned", names, weights="imagenet", **trained)
    random_model().save(folder / "run" / "final.keras")
    for name, classes in (("x.pth", 10), ("one.pth", 1)):
        oracle = helpers.random_oracle("T2TViT7", classes=classes)
        torch.save(oracle.state_dict(), folder / name)
    Image.new("RGB", (40, 40), "teal").save(folder / "0.jpg")
    for name in ("broken.jpg", "broken.pth", "x.onnx"):
        (folder / name).write_bytes(b"nothing of the kind")
    (folder / "few.json").write_text(json.dumps(["one"]))
    return folder


@pytest.mark.parametrize(("command", "message"), ROWS)
def test_it_is_one_line(command, message, folder, monkeypatch, finish):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder / "nothing"))
    before = files(folder)
    script, *arguments = shlex.split(command)
    code, _, stderr = finish(script, *arguments)
    *usage, line = stderr.splitlines()
    assert code == 2
    assert line.startswith(f"{script}: ") and message in line
    assert not usage or usage[0].startswith("usage: ")
    assert files(folder) == before


def files(folder):
    """{path: when it was written}; of folders only that they are there."""
    return {p: p.is_file() and p.stat().st_mtime_ns for p in folder.rglob("*")}
