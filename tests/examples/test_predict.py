"""`examples/predict.py` as its users call it."""

import csv
import functools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import keras_t2t
from keras_t2t.classifier import find_classifier
from keras_t2t.cli.image_files import image_files
from keras_t2t.cli.predict import batches, write_csv, write_json
from keras_t2t.preprocessing import evaluation_transform
from tests.checkpoints import helpers
from tests.processes import example

NAMES = [f"flower {i}" for i in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs, and weights with class names beside them."""
    folder = tmp_path_factory.mktemp("predict")
    for i, image in enumerate(load_sample_images().images):
        Image.fromarray(image).save(folder / f"{i}.jpg")
    torch.save(helpers.random_oracle("T2TViT7").state_dict(), folder / "x.pth")
    (folder / "classes.json").write_text(json.dumps(NAMES))
    return folder


@pytest.mark.nightly_elsewhere
def test_the_most_probable_classes_are_named(folder, success):
    images = [folder / "0.jpg", folder / "1.jpg"]
    lines = success("predict.py", "--weights", folder / "x.pth", *images).splitlines()
    assert len(lines) == 12
    model = helpers.build(
        "T2TViT7", weights=folder / "x.pth", classifier_activation="softmax"
    )
    for i, path in enumerate(images):
        pixels = evaluation_transform(path, (64, 64), reduced=True)[None]
        expected = model.predict(keras_t2t.preprocess_input(pixels), verbose=0)[0]
        header, *top = lines[6 * i : 6 * i + 6]
        assert header == str(path)
        assert [line.split(maxsplit=1)[1] for line in top] == [
            NAMES[j] for j in np.argsort(expected)[::-1][:5]
        ]
        assert top[0].split()[0] == f"{expected.max():.2%}"


@pytest.fixture
def photographs(folder, tmp_path):
    """A folder with folders of photographs, one of which cannot be read, and with what
    systems leave in it."""
    broken = ["a/2.jpg", "notes.txt"]
    broken += ["a/@eaDir/1.jpg", "#recycle/5.jpg", "$RECYCLE.BIN/3.jpg"]
    for name in ("b/2.jpg", "a/1.jpg", "a/c/3.JPG", ".hidden/4.jpg", *broken):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = (folder / f"{len(name) % 2}.jpg").read_bytes()
        path.write_bytes(b"no image" if name in broken else whole)


@pytest.mark.usefixtures("photographs")
def test_a_folder_to_tables(folder, tmp_path, monkeypatch, success):
    monkeypatch.chdir(tmp_path)
    predict = functools.partial(success, "predict.py", "--weights", folder / "x.pth")
    tables = ("--csv", "x.csv", "--json", "x.json")
    out = predict(*tables, "--top", "2", "--batch-size", "2", "photographs")
    assert out == "x.csv and x.json: 3 images, 1 could not be read\n"
    with open("x.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    images = [f"photographs/{name}" for name in ("a/1.jpg", "a/2.jpg", "a/c/3.JPG")]
    assert [row["image"] for row in rows] == [*images, "photographs/b/2.jpg"]
    listed = json.loads((tmp_path / "x.json").read_text())
    for row, held in zip(rows, listed, strict=True):
        assert row["image"] == held["image"]
        assert row["error"] == held.get("error", "")
        if row["error"]:
            assert "cannot identify" in row["error"] and row["class_1"] == ""
            continue
        first, second = held["classes"]
        assert (row["class_1"], row["class_2"]) == (first["class"], second["class"])
        assert float(row["probability_1"]) == first["probability"]
        assert first["probability"] >= second["probability"]
        # Alone it is named alike.
        alone = predict("--top", "1", row["image"]).split("%  ")
        assert alone[1].strip() == first["class"]


def test_a_pattern_leaves_out_what_a_folder_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.jpg", "a/@eaDir/1.jpg", "a/b/2.jpg", "a/#recycle/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    whole = [("a/1.jpg", None), ("a/b/2.jpg", None)]
    for words, found in (
        (["a"], whole),
        (["a/**/*.jpg"], whole),
        (["**"], whole),
        (["**/b", "a/**/[ab]"], [("a/b/2.jpg", None)] * 2),
        (["a/@eaDir/**/x"], [("a/@eaDir/**/x", "no file matches 'a/@eaDir/**/x'")]),
        (["a/*/1.jpg"], [("a/*/1.jpg", "no file matches 'a/*/1.jpg'")]),
        (["a/@eaDir/*"], [("a/@eaDir/1.jpg", None)]),
    ):
        assert list(image_files(words)) == found


def test_answers_go_into_a_new_folder(tmp_path):
    write_csv(tmp_path / "a" / "x.csv", [("x.jpg", [("cat", 1.0)], None)], 1)
    write_json(tmp_path / "b" / "x.json", [("x.jpg", None, "why")])
    assert "cat" in (tmp_path / "a/x.csv").read_text()
    assert "why" in (tmp_path / "b/x.json").read_text()


@pytest.mark.usefixtures("photographs")
def test_where_nothing_can_be_read(folder, tmp_path, monkeypatch, finish):
    monkeypatch.chdir(tmp_path)
    images = ["photographs/a/2.jpg", "gone.jpg", "photographs/.hidden/4*.png"]
    flags = ("--weights", folder / "x.pth", "--csv", "x.csv")
    code, _, _ = finish("predict.py", *flags, *images, "photographs/#recycle")
    assert code == 2
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == [*images, "photographs/#recycle/5.jpg"]
    assert all(row["error"] for row in rows)


def test_batches_are_in_order_and_no_more_than_some_are_held():
    held = most = 0

    def read(number):
        return number, number, "bad" if number % 3 == 0 else None

    def files():
        nonlocal held, most
        for number in range(1000):
            held += 1
            most = max(most, held)
            yield number

    seen = []
    for batch in batches(files(), read, 8):
        assert sum(why is None for *_, why in batch) <= 8
        seen += [number for number, *_ in batch]
        held -= len(batch)
    assert seen == list(range(1000))
    assert most < 40
    bad = [len(b) for b in batches(range(999), lambda n: (n, None, "bad"), 8)]
    assert max(bad) == 64 and sum(bad) == 999


@pytest.mark.nightly
def test_a_name_of_published_weights(folder, tmp_path):
    """The whole way: cut from a mirror, converted, CIFAR's statistics and names."""
    oracle = helpers.random_oracle("T2TViT14", (224, 224))
    (tmp_path / "mirror").mkdir()
    path = tmp_path / "mirror" / "cifar10_t2t-vit_14_98.3.pth"
    state_dict = {f"module.{k}": v for k, v in oracle.state_dict().items()}
    torch.save({"net": state_dict, "acc": 98.3, "epoch": 59}, path)
    words = ("predict.py", "--weights", "cifar10", "--top", "1", folder / "0.jpg")
    places = {"KERAS_T2T_WEIGHTS": str(path.parent), "KERAS_HOME": str(tmp_path)}
    done = example(*words, **places)
    assert done.returncode == 0, done.stderr
    pixels = evaluation_transform(folder / "0.jpg", (224, 224), 1.0, "bilinear")
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    x = keras_t2t.preprocess_input(pixels[None], mean, std)
    with torch.no_grad():
        logits = oracle(torch.from_numpy(x).permute(0, 3, 1, 2))
    names = find_classifier("cifar10", "T2TViT14").class_names
    probability, best = logits.softmax(-1)[0].max(-1)
    assert f"  {probability.item():6.2%}  {names[best]}" in done.stdout.splitlines()
