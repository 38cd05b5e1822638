"""A self-contained HTML page about the features and attention of a model."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_library, import_matplotlib
from keras_t2t._ground.types import Figure, FilePath
from keras_t2t.visualization import pictures
from keras_t2t.visualization.features import channel_states
from keras_t2t.visualization.figures import (
    QUANTITIES,
    STYLE,
    attention_pictures,
    draw_depth,
    new_figure,
)
from keras_t2t.visualization.observation import Observation
from keras_t2t.visualization.statistics import StageStatistics

PAGE = Path(__file__).with_name("report_page.html")
PICTURE_DPI = 120
PLOT_SIZE = (3.2, 3.8)  # inches: height, and a width that fits a phone
# The page's colours, of lines and text, then of the curve.
THEMES = {"light": ("#1c1e21", "#0072B2"), "dark": ("#e6e8ea", "#56B4E9")}


def write_report(
    path: FilePath,
    model_name: str,
    facts: Sequence[str],
    observation: Observation,
    statistics: Sequence[StageStatistics],
    predictions: Sequence[tuple[str, float]] | None = None,
    channels: int = 16,
    comparison: Figure | None = None,
) -> None:
    """Writes a page that needs no network and no other file.

    It fits phones and wide windows, light and dark.

    Args:
        path: the `.html` file to write.
        model_name: str.
        facts: list of str, a line each about weights, image and numbers.
        observation: the result of `observe`.
        statistics: list of `StageStatistics`.
        predictions: list of (class name, probability), best first, or None.
        channels: int, how many channels of each stage to draw.
        comparison: the result of `comparison_figure`, or None.

    Raises:
        ValueError: if `path` does not end in `.html`.
        ImportError: if matplotlib or Pillow is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise ValueError(f"`path` must end in .html, got {str(path)!r}")
    quantities = list(QUANTITIES)
    if not any(row.attention_distance for row in statistics):
        quantities.remove("distance")
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        model=escape(model_name),
        facts="<br>".join(map(escape, facts)),
        image=image_section(observation, predictions),
        stages=stage_figures(observation, channels),
        attention=attention_section(observation),
        plots="".join(plot(model_name, statistics, name) for name in quantities),
        rows="".join(map(table_row, statistics)),
        comparison="" if comparison is None else comparison_section(comparison),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


# === Sections ===
def image_section(observation, predictions):
    height, width = observation.view.shape[:2]
    caption = f"The image as the model sees it, {height} x {width} px (height x width)."
    picture = figure(
        photograph(pictures.drawn_view(observation.view)), caption, "the image"
    )
    if predictions is None:
        return f'<div class="image">{picture}</div>'
    rows = "".join(
        f'<li><div class="name"><span>{escape(str(name))}</span>'
        f'<span>{probability:.1%}</span></div><div class="bar">'
        f'<div style="width:{100 * probability:.1f}%"></div></div></li>'
        for name, probability in predictions
    )
    return (
        f'<div class="top"><div class="image">{picture}</div>'
        f"<section><h3>Most probable classes</h3>"
        f'<ol class="classes">{rows}</ol></section></div>'
    )


def stage_figures(observation, channels_drawn):
    figures = []
    for name, features in observation.features.items():
        height, width, channels = features.shape
        states = channel_states(features)
        caption = (
            f"<b>{escape(name)}</b><br>{channels} channels of {height} x {width}<br>"
            f"{states.dead.mean():.1%} dead, {states.saturated.mean():.1%} saturated"
        )
        picture = channels_png(pictures.channel_mosaic(features, channels_drawn))
        figures.append(figure(picture, caption, f"channels of {name}"))
    return "".join(figures)


def attention_section(observation):
    if observation.attention is None:
        return "<section><h2>Attention</h2><p>This model has none.</p></section>"
    drawn = attention_pictures(observation, heads=len(observation.attention.heads))
    figures = []
    for caption, picture in drawn.items():
        name, peak = map(escape, caption.rsplit("\n", 1))
        figures.append(figure(photograph(picture), f"<b>{name}</b><br>{peak}", caption))
    return (
        "<section><h2>Attention</h2><p>Which patches the class token attends to "
        "(mean over the heads of a block, then each head of one block), all blocks "
        "together as attention rollout, and what the framed token attends to in the "
        "token layers. Yellow is the most; shades go by the square root of the "
        "weight, up to its 99th percentile, so that a peak does not hide the rest. "
        "Each picture has its own scale: where the peak is about the mean, all patches "
        "are attended to alike.</p>"
        f'<div class="maps">{"".join(figures)}</div></section>'
    )


def table_row(row):
    distance = row.mean_attention_distance
    cells = (
        escape(row.stage),
        f"{row.height} x {row.width}",
        row.channels,
        f"{row.dead_share:.1%}",
        f"{row.saturated_share:.1%}",
        f"{row.redundancy:.3f}",
        f"{row.redundancy_of_noise:.3f}",
        "" if distance is None else f"{distance:.1f} px",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def comparison_section(comparison):
    """A figure on a white background, which scrolls in a narrow window."""
    source = data_uri("png", comparison.savefig, dpi=PICTURE_DPI)
    return (
        "<section><h2>Networks side by side</h2><p>An early, a middle and a late stage "
        "of each, channels as above (figure 2 of the T2T-ViT paper).</p>"
        '<div class="table" tabindex="0"><img class="comparison" '
        f'alt="Feature maps of the networks side by side" src="{source}"></div>'
        "</section>"
    )


# === Pieces ===
def figure(source, caption, alternative):
    return (
        f'<figure><img alt="{escape(alternative)}" src="{source}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def plot(model_name, statistics, quantity):
    """A plot in the page's colours, light and dark."""
    matplotlib = import_matplotlib()
    sources = {}
    for theme, (ink, colour) in THEMES.items():
        names = ("text.color", "axes.labelcolor", "axes.edgecolor")
        names += ("axes.titlecolor", "xtick.color", "ytick.color", "grid.color")
        style = STYLE | {"font.size": 11, "axes.titlesize": 11}
        style |= dict.fromkeys(names, ink)
        style |= {"figure.facecolor": "none", "axes.facecolor": "none"}
        with matplotlib.rc_context(style):
            drawn = new_figure(*PLOT_SIZE)
            tables, series = {model_name: statistics}, [(colour, "o")]
            draw_depth(drawn.subplots(), tables, quantity, ink, series)
            settings = {"transparent": True, "metadata": {"Date": None}}
            sources[theme] = data_uri("svg", drawn.savefig, **settings)
    title = escape(QUANTITIES[quantity])
    return (
        '<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{sources["dark"]}"><img alt="{title} over the depth" '
        f'src="{sources["light"]}"></picture></figure>'
    )


def channels_png(mosaic):
    """Indices into the palette as a PNG with transparent gaps."""
    image = import_library("PIL.Image", "visualize").fromarray(mosaic)
    image.putpalette(pictures.palette().tobytes())
    return data_uri("png", image.save, optimize=True, transparency=pictures.BACKGROUND)


def photograph(picture):
    image = import_library("PIL.Image", "visualize").fromarray(picture)
    return data_uri("jpeg", image.save, quality=88, subsampling=0)


def data_uri(format, save, **settings):
    """What `save` writes into a file of this format, as an address."""
    file = io.BytesIO()
    save(file, format=format, **settings)
    kind = "svg+xml" if format == "svg" else format
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
