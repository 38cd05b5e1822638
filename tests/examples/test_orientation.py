"""All that uses a run follows what it recorded of which way up photographs are."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from keras_t2t import classifier, visualization
from keras_t2t.classifier import find_classifier
from keras_t2t.export import web
from keras_t2t.export.formats import Options
from keras_t2t.preprocessing import evaluation_transform
from tests.examples.small_run import SIZE, build, random_model, write_run
from tests.photographs import ORIENTATIONS, oriented

NAMES = list("abcdefg")
RECORDED = [(True, True), (False, False), (None, True)]  # None: of custom batches


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(classifier, "builder", lambda name: build)


def run_of(folder, recorded, **settings):
    write_run(folder, NAMES, exif_orientation=recorded, **settings)
    random_model().save(folder / "final.keras")
    return folder


def answer(path, turns):
    pixels = evaluation_transform(
        path, (SIZE, SIZE), exif_orientation=turns, reduced=True
    )
    return random_model().predict(pixels[None], verbose=0)[0]


@pytest.mark.parametrize(("recorded", "turns"), RECORDED)
def test_a_prediction_sees_what_the_run_saw(recorded, turns, tmp_path, success):
    run = run_of(tmp_path / "run", recorded)
    paths = [tmp_path / f"{orientation}.jpg" for orientation in ORIENTATIONS]
    for orientation, path in zip(ORIENTATIONS, paths, strict=True):
        path.write_bytes(oriented(orientation))
    out = success("predict.py", "--weights", run, "--top", "1", *paths)
    for path, line in zip(paths, out.splitlines()[1::2], strict=True):
        probabilities = softmax(answer(path, turns))
        best = NAMES[int(probabilities.argmax())]
        assert line.split() == [f"{probabilities.max():.2%}", best]


def test_published_weights_say_nothing_of_it():
    assert find_classifier("imagenet").exif_orientation is None


@pytest.mark.parametrize(("recorded", "turns"), RECORDED)
def test_an_evaluation_sees_what_the_run_saw(recorded, turns, tmp_path, success):
    photographs = {}
    for number, orientation in enumerate((6, 8, 3, 5, 7, 2, 4)):
        path = tmp_path / "photos" / "val" / NAMES[number] / "x.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(oriented(orientation))
        photographs[path] = number
    run = run_of(tmp_path / "run", recorded, data_dir=str(tmp_path / "photos"))
    for flags, turned in (
        ([], turns),
        (["--exif-orientation"], True),
        (["--no-exif-orientation"], False),
    ):
        out = success("evaluate.py", "--weights", run, "--reader", "grain", *flags)
        right = [answer(path, turned).argmax() == i for path, i in photographs.items()]
        found = json.loads(out.splitlines()[-1])["top1"]
        assert found == pytest.approx(np.mean(right))


def test_the_page_and_the_pictures_do_as_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "copy_runtime", lambda folder: None)
    monkeypatch.setattr(web, "write_onnx", lambda _, path, *__, **___: path.touch())
    path = tmp_path / "x.jpg"
    path.write_bytes(oriented(6))
    model = random_model()
    for turns in (True, False):
        expected = evaluation_transform(path, (SIZE, SIZE), exif_orientation=turns)
        source = find_classifier(run_of(tmp_path / f"{turns}", turns))
        for seen in (path, Image.open(path)):
            view = visualization.model_view(model, seen, **source.photograph_transform)
            np.testing.assert_array_equal(view, expected)
        told = source.photograph_transform["exif_orientation"]
        page = tmp_path / f"page {turns}"
        web.write_web(model, page, Options(exif_orientation=told))
        written = json.loads((page / web.MANIFEST).read_text())
        assert written["exif_orientation"] is turns
