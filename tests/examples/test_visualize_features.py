"""`examples/visualize_features.py` and `examples/plot_runs.py` as users call them."""

import csv
import json

import keras
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_t2t
from keras_t2t.classifier import Classifier
from keras_t2t.visualization import figures, study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photograph, a grey one, and weights with class names beside them."""
    folder = tmp_path_factory.mktemp("visualize")
    image = Image.fromarray(load_sample_image("flower.jpg"))
    (folder / "images").mkdir()
    image.save(folder / "images" / "flower.jpg")
    image.convert("L").crop((0, 0, 90, 300)).save(folder / "images" / "grey.png")
    model = keras_t2t.T2TViT7(
        input_shape=(64, 48, 3), classes=4, include_preprocessing=True
    )
    model.save(folder / "final.keras")
    (folder / "classes.json").write_text(json.dumps(["red", "green", "blue", "grey"]))
    return folder


@pytest.mark.nightly
def test_everything_is_written(folder, tmp_path, success):
    told = success(
        *("visualize_features.py", folder / "images" / "grey.png"),
        *("--weights", folder / "final.keras", "--compare", "T2TViT7"),
        *("--folder", folder / "images", "--channels", "4", "--token", "0.2", "0.9"),
        *("--output", tmp_path / "out", "--backend", keras.backend.backend()),
    )
    written = {path.name for path in (tmp_path / "out").iterdir()}
    drawn = ("features", "attention", "depth", "comparison")
    assert written == {
        *("report.html", "statistics.csv"),
        "statistics_T2TViT7,_random_weights.csv",
        *(f"{name}{suffix}" for name in drawn for suffix in (".png", ".svg")),
    }
    assert {line.rpartition("/")[2] for line in told.splitlines()} == written
    with open(tmp_path / "out" / "statistics.csv", encoding="utf-8") as file:
        stages = [row["stage"] for row in csv.DictReader(file)]
    blocks = [f"block_{i}" for i in range(7)]
    assert stages == ["tokens_1", "tokens_2", "project", *blocks, "norm"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "means over 2 images" in report
    assert all(name in report for name in ("red", "green", "blue", "grey"))
    assert "Networks side by side" in report and 'class="comparison"' in report


@pytest.mark.nightly
def test_without_a_network_weights_are_random(folder, tmp_path, monkeypatch, finish):
    words = [
        *("visualize_features.py", folder / "images" / "grey.png"),
        *("--model", "T2TViT7", "--image-size", "32x48", "--channels", "2"),
        *("--dpi", "40", "--output", tmp_path / "out"),
    ]
    monkeypatch.setenv("KERAS_T2T_WEIGHTS", "http://127.0.0.1:9/")  # nobody answers
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    code, _, err = finish(*words)
    assert code == 0
    assert "So the weights are random; --weights takes a checkpoint" in err
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "random weights" in report and "Networks side by side" not in report
    again = tmp_path / "again"
    code, _, _ = finish(*words, "--weights", "random", "--output", again)
    drawn = [tmp_path / name / "statistics.csv" for name in ("out", "again")]
    assert drawn[0].read_text() == drawn[1].read_text()
    code, _, err = finish(*words, "--weights", "imagenet")
    assert code == 2 and "could not be downloaded" in err


@pytest.mark.nightly
def test_every_head_is_drawn_and_the_folder_named(folder, tmp_path, monkeypatch):
    drawn = []
    attention = figures.attention_pictures

    def attention_pictures(observation, heads):
        drawn.append(attention(observation, heads))
        return drawn[-1]

    monkeypatch.setattr(figures, "attention_pictures", attention_pictures)
    network = Classifier("random", "T2TViT14ResNeXt", (32, 32), 1, ["a"])
    image = folder / "images" / "grey.png"
    study([network], image, tmp_path, folder=folder / "images", max_images=1, dpi=40)
    assert sum("head" in caption for caption in drawn[0]) == 32
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "means over 1 image of the folder" in report
    assert "Most probable classes" not in report  # of one output


def test_runs_are_compared(tmp_path, success):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text(
        "epoch,loss,val_loss,val_top1,images_per_second\n0,2,1,0.5,100\n"
    )
    table = success(
        "plot_runs.py", tmp_path / "run", "--output", tmp_path / "runs.png"
    ).splitlines()
    assert table[0].split("  ")[0] == "run" and "best top-1" in table[0]
    assert table[1].split() == ["run", "1", "50.00%", "1.0000", "100"]
    with Image.open(tmp_path / "runs.png") as image:
        assert image.width == 1080
