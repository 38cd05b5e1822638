"""`examples/evaluate.py` as its users call it."""

import csv
import json
import shutil
import types

import keras
import numpy as np
import pytest
import torch
from PIL import Image

import keras_t2t
from keras_t2t import classifier
from keras_t2t.checkpoints import registry
from keras_t2t.checkpoints.registry import Published
from keras_t2t.cli import evaluate as cli_evaluate
from keras_t2t.cli.evaluate import check_report, which_data
from keras_t2t.preprocessing import evaluation_transform
from keras_t2t.training.distribution.devices import Devices
from tests.examples.small_run import SIZE, build, random_model, write_run

NAMES = list("abcdefg")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """21 images of seven classes, and a run folder whose weights answer about them."""
    work = tmp_path_factory.mktemp("evaluate")
    random = np.random.default_rng(0)
    for i, name in enumerate(NAMES):
        folder = work / "photos" / "val" / name
        folder.mkdir(parents=True)
        for j in range(3):
            # 32 / 0.9 px, so that resizing changes nothing
            pixels = random.normal(30 * i + 15, 40, (35, 35, 3)).clip(0, 255)
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{j}.png")
    write_run(work / "run", NAMES, data_dir=str(work / "photos"))
    random_model().save(work / "run" / "final.keras")
    random_model(seed=1).save(work / "run" / "final_ema.keras")
    return work


@pytest.fixture
def evaluate(work, monkeypatch, finish):
    """Runs the script in the folder of the images."""
    monkeypatch.chdir(work)
    monkeypatch.setenv("TFDS_DATA_DIR", str(work / "tfds"))
    monkeypatch.setattr(classifier, "builder", lambda name: build)

    def evaluate(*arguments):
        code, out, err = finish("evaluate.py", *arguments)
        return code, json.loads(out.splitlines()[-1]), err

    return evaluate


def right(work, seed=0):
    """(top-1, top-5) as (7, 3) booleans, by Pillow and NumPy."""
    files = [
        work / "photos" / "val" / name / f"{j}.png" for name in NAMES for j in "012"
    ]
    pixels = np.stack([evaluation_transform(file, (SIZE, SIZE)) for file in files])
    logits = random_model(seed=seed).predict(pixels, verbose=0)
    best = np.argsort(-logits, axis=1).reshape(7, 3, 7)
    labels = np.arange(7)[:, None]
    top1 = best[..., 0] == labels
    top5 = (best[..., :5] == labels[..., None]).any(axis=-1)
    assert 0 < top1.mean() < 1 and 0 < top5.mean() < 1  # else it would say little
    return top1, top5


@pytest.mark.nightly_elsewhere
def test_a_run_on_its_own_data_and_per_class(evaluate, work):
    top1, top5 = right(work)
    arguments = ("--weights", "run", "--batch-size", "4", "--output", "told")
    code, result, _ = evaluate(*arguments)
    assert code == 0
    assert {path.name for path in (work / "told").iterdir()} == {
        *("per_class.csv", "confusion.csv", "confusion.png", "mistakes.png"),
        "evaluation.json",
    }
    assert json.loads((work / "told" / "evaluation.json").read_text()) == result
    with open(work / "told" / "confusion.csv", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert header == ["class", *NAMES] == ["class", *(line[0] for line in lines)]
    matrix = np.array([line[1:] for line in lines], int)
    np.testing.assert_array_equal(matrix.sum(axis=1), 3)
    np.testing.assert_array_equal(matrix.diagonal(), top1.sum(axis=1))
    with Image.open(work / "told" / "mistakes.png") as sheet:
        assert sheet.width == 1080
    assert (result["backend"], result["model"]) == (keras.backend.backend(), "T2TViT7")
    assert (result["dataset"], result["images"]) == ("photos", 21)
    with open(work / "told" / "per_class.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name, expected in (("top1", top1), ("top5", top5)):
        assert result[name] == pytest.approx(expected.mean())
        measured = [float(row[name]) for row in rows]
        assert measured == pytest.approx(expected.mean(axis=1), abs=1e-6)


def test_a_report_that_fails_leaves_the_result(evaluate, monkeypatch):
    def fails(*arguments, **settings):
        raise OSError("the disk is full")

    monkeypatch.setattr(cli_evaluate, "write_report", fails)
    code, result, err = evaluate("--weights", "run")
    assert (code, result["images"]) == (2, 21) and "the disk is full" in err


@pytest.mark.usefixtures("evaluate")
def test_processes_that_see_other_images(finish, monkeypatch):
    monkeypatch.setattr(Devices, "differs", lambda self, number: True)
    code, _, err = finish("evaluate.py", "--weights", "run")
    assert code == 2 and "process 0 has other images (0 to train, 21 to v" in err


def test_a_run_on_custom_data_is_evaluated_on_what_is_named():
    """Its data set's name is none of TensorFlow Datasets."""
    nothing = {"dataset": None, "data_dir": None}
    record = {**nothing, "own": {"dataset": {}}, "data": {"name": "squares"}}
    asked = types.SimpleNamespace(**nothing)
    run = types.SimpleNamespace(published=None, run=record)
    with pytest.raises(ValueError, match="say what to evaluate on: --dataset"):
        which_data(asked, run)
    del record["own"]
    assert which_data(asked, run) == ("squares", None)


def test_the_share_of_a_run_is_evaluated_where_nothing_is_split(evaluate, work, finish):
    """On a folder that was named it was a fifth, of images that had trained too."""
    flat = work / "photos" / "val"
    settings = {"data_dir": str(flat), "validation_share": 0.7}
    data = {"name": "val", "training images": 7, "validation images": 14}
    for name, trained in (("shared", 7), ("fewer", 6)):
        counts = {**data, "training images": trained}
        write_run(work / name, NAMES, **settings, data=counts)
        shutil.copy(work / "run" / "final.keras", work / name)
    for arguments, images in (
        (("--data-dir", "photos/val"), 14),
        (("--data-dir", "photos/val", "--validation-share", "0.2"), 7),
        (("--data-dir", "photos"), 21),  # which has splits
    ):
        code, result, err = evaluate("--weights", "shared", *arguments)
        assert (code, result["images"]) == (0, images), err
    _, out, _ = finish("evaluate.py", "--weights", "shared")
    assert "note:" not in out and '"images": 14' in out
    _, out, _ = finish("evaluate.py", "--weights", "fewer")
    assert "note: the run's data has changed: 21 images, where the run had 20;" in out


def test_the_test_split(evaluate, work):
    """Under the names that people give, left alone unless asked for."""
    splits = work / "splits"
    for name in ("Train", "Valid", "TEST"):
        shutil.copytree(work / "photos" / "val", splits / name, dirs_exist_ok=True)
    for path in (splits / "TEST").glob("*/2.png"):
        path.unlink()
    arguments = ("--weights", "run", "--data-dir", "splits")
    _, result, _ = evaluate(*arguments)
    assert (result["images"], result["split"]) == (21, "validation")
    _, result, _ = evaluate(*arguments, "--split", "test")
    assert (result["images"], result["split"]) == (14, "test")
    assert result["top1"] == pytest.approx(right(work)[0][:, :2].mean())


def test_averaged_weights(evaluate, work):
    """By the reader without TensorFlow."""
    data = ("--data-dir", "photos", "--reader", "grain")
    _, result, _ = evaluate("--weights", "run", "--ema", *data)
    assert result["top1"] == pytest.approx(right(work, seed=1)[0].mean())
    assert result["weights"].endswith("final_ema.keras")
    assert json.loads((work / "run/evaluation/evaluation.json").read_text()) == result


def test_the_published_accuracy(evaluate, work, monkeypatch):
    """Of a released file with raw weights beside the averaged ones."""
    top1, top5 = (100 * part.mean() for part in right(work, seed=1))
    for seed in (0, 1):
        keras_t2t.save_official(random_model(seed=seed), work / f"{seed}.pth")
    raw, average = (torch.load(work / f"{i}.pth")["state_dict"] for i in (0, 1))
    torch.save({"state_dict": raw, "state_dict_ema": average}, work / "7.pth.tar")
    row = Published(
        *("T2TViT7", "7.pth.tar", 0.0, (top1 + 0.09, top5 - 0.09)),
        **{"size": SIZE, "classes": 7, "images": 21},
    )
    monkeypatch.setattr(registry, "PUBLISHED", (row,))
    arguments = ("--weights", "7.pth.tar", "--data-dir", "photos")
    code, result, err = evaluate(*arguments, "--expect")
    assert (code, err) == (0, "")
    assert result["top1"] == pytest.approx(top1 / 100)

    row = row._replace(remeasured=(top1 + 0.11, None))
    monkeypatch.setattr(registry, "PUBLISHED", (row,))
    code, result, err = evaluate(*arguments, "--expect")
    assert code == 1
    (line,) = err.splitlines()
    assert f"top-1 is {top1:.3f}, published {top1 + 0.11:.3f}" in line

    code, result, _ = evaluate(*arguments, "--raw")
    assert (code, result["top1"]) == (0, pytest.approx(right(work)[0].mean()))


def test_images_with_several_labels_or_none(evaluate, work):
    """As imagenet2012_real: no training split, and a fifth of the images unlabelled."""
    from tests.data.test_prepared_dataset import Reassessed

    Reassessed(data_dir=work / "tfds").download_and_prepare()
    write_run(work / "three", ["dark", "bright", "grey"])
    model = random_model(classes=3)
    model.save(work / "three" / "final.keras")
    code, result, _ = evaluate("--weights", "three", "--dataset", "reassessed")
    assert (code, result["images"], result["top5"]) == (0, 16, 1.0)
    pixels = np.arange(20)[:, None, None, None] * np.full((SIZE, SIZE, 3), 10)
    best = model.predict(pixels.astype("uint8"), verbose=0).argmax(axis=1)
    hits = [i in labels for i, labels in zip(best, 4 * Reassessed.LABELS, strict=True)]
    assert result["top1"] == sum(hits) / 16


def test_a_report_with_other_files_stays(tmp_path):
    for name in ("evaluation.json", ".DS_Store"):
        (tmp_path / name).touch()
    check_report(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="holds other files, which stay"):
        check_report(tmp_path)
