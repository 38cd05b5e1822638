"""What a study writes into its folder, and by which names."""

import pytest
from PIL import Image

from keras_t2t.classifier import Classifier
from keras_t2t.visualization import study
from keras_t2t.visualization.study import write_figures
from tests.visualization import small_models


def test_runs_have_the_names_of_their_folders(tmp_path, monkeypatch):
    """And a second study, of a network without attention, leaves none of theirs."""
    photograph = tmp_path / "photograph.png"
    Image.fromarray(small_models.PHOTOGRAPH).save(photograph)
    monkeypatch.setattr(Classifier, "build", lambda _: small_models.model("performer"))
    networks, out = [], tmp_path / "out"
    for name in ("plain", "distilled"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "final.keras").touch()
        weights, run = tmp_path / name / "final.keras", {"model": "T2TViT7"}
        names = list("abcde")
        networks.append(Classifier(weights, "T2TViT7", (48, 64), 5, names, run=run))
    written = study(networks, photograph, out, channels=2, dpi=40)
    assert sorted(out.iterdir()) == sorted(written)
    tables = {path.name for path in written if path.suffix == ".csv"}
    assert tables == {"statistics.csv", "statistics_T2TViT7,_distilled_final.keras.csv"}
    told = "T2TViT7, plain/final.keras, input 48 x 64 px (height x width), Keras on"
    assert told in (out / "report.html").read_text(encoding="utf-8")

    monkeypatch.setattr(Classifier, "build", lambda _: small_models.resnet50())
    network = Classifier("random", "ResNet50", (32, 32), 5, names)
    written = study([network], photograph, out, channels=2, dpi=40)
    pictures = {path for path in out.iterdir() if path.suffix in (".png", ".svg")}
    assert pictures == {path for path in written if path.suffix in (".png", ".svg")}
    assert len(pictures) == 4


def test_a_picture_of_no_study_stays(tmp_path):
    (tmp_path / "report.html").write_text("of tests")
    (tmp_path / "attention.png").write_bytes(b"of somebody")
    write_figures({"attention": None}, tmp_path, 40)
    assert (tmp_path / "attention.png").exists()


def test_a_folder_that_cannot_be_written_is_told_first(tmp_path, monkeypatch):
    monkeypatch.setattr(Classifier, "build", lambda _: pytest.fail("built"))
    network = Classifier("random", "T2TViT7", (32, 32), 2)
    (tmp_path / "file").touch()
    for output, told in (("file", "a folder, got the file"), ("file/x", "be written")):
        with pytest.raises(ValueError, match=told):
            study([network], tmp_path / "gone.jpg", tmp_path / output)
