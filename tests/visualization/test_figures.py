"""Pictures, figures and the report: what is drawn, and where it is written."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from keras_t2t import visualization
from keras_t2t.visualization import figures, pictures
from keras_t2t.visualization.observation import observe
from keras_t2t.visualization.report import write_report
from tests.visualization import small_models
from tests.visualization.small_models import PHOTOGRAPH


@pytest.fixture(scope="module")
def observation():
    model = small_models.model("performer")
    return observe(model, PHOTOGRAPH, block=0, token=(0.99, 0.1))


@pytest.fixture(scope="module")
def statistics():
    model = small_models.model("performer")
    return visualization.depth_statistics(model, PHOTOGRAPH)


# === Pixels ===
def test_dead_and_saturated_channels_are_marked():
    features = np.random.default_rng(0).uniform(0.5, 1, (7, 14, 5))
    features[..., 1] = 0
    features[..., 3] *= 50
    sheet = pictures.channel_mosaic(features, count=5, columns=3)
    height, width = 56, 112  # 8 pixels per value
    assert sheet.shape == (2 * height + pictures.GAP, 3 * width + 2 * pictures.GAP)
    tops, lefts = (np.arange(3) * (side + pictures.GAP) for side in (height, width))
    tiles = [sheet[y : y + height, x : x + width] for y in tops[:2] for x in lefts]
    assert [(tile == pictures.DEAD).any() for tile in tiles] == [0, 1, 0, 0, 0, 0]
    assert [(tile == pictures.SATURATED).any() for tile in tiles] == [0, 0, 0, 1, 0, 0]
    assert tiles[1][28, 56] == pictures.DEAD  # where the cross meets
    assert (tiles[5] == pictures.BACKGROUND).all()
    values = features[..., 4]
    least, most = (np.unravel_index(f(values), (7, 14)) for f in (np.argmin, np.argmax))
    assert tiles[4][8 * least[0] + 3, 8 * least[1] + 3] == 0
    assert tiles[4][8 * most[0] + 3, 8 * most[1] + 3] == pictures.SHADES - 1


def test_attention_lies_where_the_patch_is():
    view = np.full((48, 64, 3), 128, "uint8")
    weights = np.zeros((3, 4))
    weights[2, 1] = 0.5
    picture = pictures.attention_overlay(view, weights).astype(int)
    assert picture.shape == (240, 320, 3)  # five times, 224 px at least
    bright = picture.sum(axis=-1) == picture.sum(axis=-1).max()
    expected = np.zeros((240, 320), bool)
    expected[160:, 80:160] = True
    np.testing.assert_array_equal(bright, expected)
    framed = pictures.attention_overlay(view, weights, token=(2, 1))
    assert (framed[200, 78] == pictures.palette()[pictures.DEAD]).all()


def test_a_peak_does_not_hide_the_rest():
    """A hundredth of the peak is a tenth of the palette's length from its dark end."""
    weights = np.full((14, 14), 0.01)
    weights[3, 3] = weights[9, 5] = weights[0, 0] = 1.0
    weights[7, 7] = 100.0  # above the 99th percentile
    picture = pictures.attention_overlay(np.zeros((224, 224, 3), "uint8"), weights)
    shade = {
        place: picture[16 * place[0] + 8, 16 * place[1] + 8].tolist()
        for place in ((7, 7), (3, 3), (13, 13))
    }
    palette = pictures.palette().astype(float)
    assert shade[7, 7] == shade[3, 3]
    expected = 0.7 * palette[round(0.1 * (pictures.SHADES - 1))]
    np.testing.assert_allclose(shade[13, 13], expected, atol=1)


# === Figures ===
def test_figures_are_written(observation, statistics, tmp_path):
    others = dict(list(observation.features.items())[:2])
    drawn = {
        "features": figures.feature_figure(observation, "title", channels=8),
        "attention": figures.attention_figure(observation, "title"),
        "depth": figures.depth_figure({"one": statistics, "two": statistics[:3]}),
        "comparison": figures.comparison_figure({"a": others, "b": others}, 4),
    }
    # The photograph, then rows of channels; photograph, blocks, rollout, tokens, heads.
    counts = {"features": 1 + 4, "attention": 1 + 2 + 1 + 2 + 2, "comparison": 4}
    for name, count in counts.items():
        assert sum(len(axes.images) for axes in drawn[name].axes) == count, name
    for name, figure in drawn.items():
        for suffix in figures.FORMATS:
            figures.save_figure(figure, tmp_path / f"{name}{suffix}")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width == round(figures.PAGE_WIDTH * 150)
        assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")


def test_the_depth_figure_shows_the_numbers(statistics):
    figure = figures.depth_figure({"network": statistics})
    dead, redundancy, distance = figure.axes
    shares = [100 * row.dead_share for row in statistics]
    np.testing.assert_allclose(dead.lines[0].get_ydata(), shares)
    noise, own = (line.get_ydata() for line in redundancy.lines)
    np.testing.assert_allclose(own, [row.redundancy for row in statistics])
    np.testing.assert_allclose(noise, [row.redundancy_of_noise for row in statistics])
    # Two token layers and two blocks have attention, with a dot for each head.
    *heads, mean = distance.lines
    assert [len(line.get_ydata()) for line in heads] == [1, 1, 2, 2]
    expected = [x.mean_attention_distance for x in statistics if x.attention_distance]
    np.testing.assert_allclose(mean.get_ydata(), expected)


def test_bad_paths_and_models_without_attention(tmp_path):
    observation = observe(small_models.resnet50(), PHOTOGRAPH)
    assert observation.attention is None
    with pytest.raises(ValueError, match="of a model without attention"):
        figures.attention_figure(observation, "title")
    with pytest.raises(ValueError, match=r"`path` must end in \.png or \.svg"):
        figures.save_figure(figures.new_figure(1), tmp_path / "x.pdf")
    with pytest.raises(ValueError, match=r"`path` must end in \.html"):
        write_report(tmp_path / "x.txt", "", [], observation, [])
    resnet, vit = small_models.resnet50(), small_models.model("vit")
    performer = small_models.model("performer")
    for model, given, told in (
        (performer, {"block": 7}, "`block` must be an"),
        (performer, {"token": (2, 0)}, "each from 0 to 1, got (2, 0)"),
        (performer, {"token": 0.5}, "each from 0 to 1, got 0.5"),
        (performer, {"token": (0.5, 0.5, 0.5)}, "each from 0 to 1, got (0.5, 0.5"),
        (resnet, {"block": 3}, "`block` must be -1 for resnet50, which has no att"),
        (resnet, {"token": (0.5, 0.5)}, "`token` must be None for resnet50, which"),
        (vit, {"token": (7, 7)}, "no attention in token layers, got (7, 7)"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            observe(model, PHOTOGRAPH, **given)
    assert list(tmp_path.iterdir()) == []


def test_the_observation_is_what_the_functions_give(observation):
    model = small_models.model("performer")
    features = visualization.feature_maps(model, PHOTOGRAPH)
    assert list(observation.features) == list(features)
    for name, values in features.items():
        np.testing.assert_array_equal(observation.features[name], values)
    attention = observation.attention
    heads = visualization.class_attention(model, PHOTOGRAPH, 0)
    np.testing.assert_array_equal(attention.heads, heads)
    rollout = visualization.attention_rollout(model, PHOTOGRAPH)
    np.testing.assert_array_equal(attention.rollout, rollout)
    row, place = attention.of_token["tokens_1"]
    assert place == (11, 1)  # 99% down a grid of 12, 10% across one of 16
    expected = visualization.token_attention(model, PHOTOGRAPH, "tokens_1", place)
    np.testing.assert_array_equal(row, expected)
    view = visualization.model_view(model, PHOTOGRAPH)
    np.testing.assert_array_equal(observation.view, view)
    assert observation.output.shape == (5,)


# === Report ===
def words_and_sources(page):
    """The text of a page, whose elements are closed, and what it points to."""
    page = re.sub(r"<((meta|link|img|source|br)\b[^>]*)>", r"<\1/>", page)
    page = re.sub("&(nbsp|ldquo|rdquo);", " ", page).removeprefix("<!doctype html>")
    elements = list(ElementTree.fromstring(page).iter())
    words = " ".join(" ".join(elements[0].itertext()).split())
    attributes = [pair for element in elements for pair in element.attrib.items()]
    return words, [v for k, v in attributes if k in ("src", "srcset", "href")]


def test_the_report_holds_everything_itself(observation, statistics, tmp_path):
    predictions = [("<b>rose</b> & co", 0.75), ("tulip", 0.25)]
    path = tmp_path / "report.html"
    write_report(path, "T2TViT7", ["A fact < 3."], observation, statistics, predictions)
    text = path.read_text(encoding="utf-8")
    words, sources = words_and_sources(text)
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert "<script" not in text
    for expected in (
        *("<b>rose</b> & co", "75.0%", "A fact < 3.", "tokens_1", "rollout"),
        "48 x 64 px (height x width)",
        "channels that are not zero everywhere",
        "Constant channels are left out",
        *(f"{row.redundancy:.3f}" for row in statistics),
    ):
        assert expected in words
    images = [source.partition(",") for source in sources]
    kinds = {kind for kind, _, _ in images}
    assert "data:image/png;base64" in kinds and "data:image/jpeg;base64" in kinds
    for kind, _, content in images:
        if kind in ("data:image/png;base64", "data:image/jpeg;base64"):
            Image.open(io.BytesIO(base64.b64decode(content))).verify()


def test_a_report_on_a_model_without_attention_or_classes(tmp_path):
    model = small_models.resnet50()
    statistics = visualization.depth_statistics(model, PHOTOGRAPH, "conv1_relu")
    write_report(
        tmp_path / "x.html", "ResNet50", [], observe(model, PHOTOGRAPH), statistics
    )
    words, _ = words_and_sources((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert "This model has none." in words and "probable" not in words
