"""A study of one image: figures, table and report in a folder."""

import re
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_t2t._ground.arguments import check_counts
from keras_t2t._ground.files import check_writable
from keras_t2t._ground.types import FilePath, Stages
from keras_t2t.classifier import Classifier, top_classes
from keras_t2t.visualization.features import default_stages
from keras_t2t.visualization.figures import (
    FORMATS,
    attention_figure,
    comparison_figure,
    depth_figure,
    feature_figure,
    save_figure,
)
from keras_t2t.visualization.image_view import image_list, model_view
from keras_t2t.visualization.observation import observe
from keras_t2t.visualization.report import write_report
from keras_t2t.visualization.runs import told_apart
from keras_t2t.visualization.statistics import depth_statistics, write_statistics

REPORT = "report.html"
# What a report says that shows one of these pictures, which not every study has.
SECTIONS = {
    "attention": "<h2>Attention</h2>",
    "comparison": "<h2>Networks side by side</h2>",
}


def study(
    networks: Sequence[Classifier],
    image: FilePath,
    output: FilePath,
    stages: Stages = None,
    channels: int = 16,
    block: int = -1,
    token: tuple[float, float] | None = None,
    folder: FilePath | None = None,
    max_images: int = 64,
    dpi: int = 150,
    seed: int | None = None,
) -> list[Path]:
    """Reports on a network by means of one image, and compares it with others.

    Args:
        networks: list of `Classifier`; the report is on the first.
        image: path of the image.
        output: folder where everything is written; created if missing. Pictures of an
            earlier study, of which this one has none, are removed.
        stages: see `feature_maps`; for the first network.
        channels: int, how many channels of each stage to draw.
        block, token: see `observe`.
        folder: images over which the numbers are averaged, or parquet files or tars,
            for their validation images; None for `image` alone.
        max_images: int, how many of `folder`, evenly spread over its sorted files.
        dpi: int, pixels per inch of the PNGs, which are 7.2 inches wide.
        seed: int, of each network's random weights; None: any.

    Returns:
        List of the paths written.

    Raises:
        ValueError: if a file is no image, a stage, block or token does not exist, or
            `output` is a file or cannot be written.
        OSError: if a file is missing or cannot be written.
        ImportError: if matplotlib or Pillow is not installed.
    """
    check_counts(channels=channels, max_images=max_images, dpi=dpi)
    output = Path(output)
    check_writable(output, "`output`")
    if output.exists() and not output.is_dir():
        raise ValueError(f"`output` must be a folder, got the file {str(output)!r}")
    files = [image] if folder is None else image_list(folder)
    drawn = min(len(files), max_images)
    files = [files[i * len(files) // drawn] for i in range(drawn)]
    first = networks[0]
    titles = titles_of(networks)
    figures, tables, side_by_side = {}, {}, {}
    for network, title in zip(networks, titles, strict=True):
        if seed is not None:
            keras.utils.set_random_seed(seed)
        model = network.build()
        transform = {**network.photograph_transform, "reduced": network.reduced}
        view = model_view(model, image, **transform)
        if network is first:
            observation = observe(model, view, stages, block, token)
            figures["features"] = feature_figure(observation, title, channels)
            figures["attention"] = None
            if attention := observation.attention:
                heads = len(attention.heads)
                figures["attention"] = attention_figure(observation, title, heads)
        images = [model_view(model, file, **transform) for file in files]
        tables[title] = depth_statistics(model, images)
        if len(networks) > 1:
            default = default_stages(model)
            early_middle_late = list(dict.fromkeys([default[0], *default[-2:]]))
            side_by_side[title] = observe(model, view, early_middle_late).features
        del model  # three large networks need not be in memory together
    figures["depth"] = depth_figure(tables)
    compared = comparison_figure(side_by_side, channels) if side_by_side else None
    figures["comparison"] = compared
    output.mkdir(parents=True, exist_ok=True)
    likeliest = top_classes(observation.output, first.class_names)
    if first.classes == 1:  # whose softmax is 1 for any image
        likeliest = None
    page = output / REPORT
    written = [page, *write_figures(figures, output, dpi)]
    names = ["statistics", *(f"statistics {title}" for title in titles[1:])]
    names = unique([re.sub("[ /]", "_", name) for name in names])
    for name, table in zip(names, tables.values(), strict=True):
        written.append(output / f"{name}.csv")
        write_statistics(table, written[-1])
    facts = description(first, titles[0], image, None if folder is None else files)
    numbers = tables[titles[0]]
    write_report(
        page, first.variant, facts, observation, numbers, likeliest, channels, compared
    )
    return written


def write_figures(figures, folder, dpi):
    """Writes each as a PNG and an SVG, and removes those that are None if the report of
    an earlier study shows them; the paths of the others."""
    written, page = [], folder / REPORT
    earlier = page.read_text("utf-8", errors="replace") if page.is_file() else ""
    for name, figure in figures.items():
        for path in (folder / f"{name}{suffix}" for suffix in FORMATS):
            if figure is not None:
                written.append(path)
                save_figure(figure, path, dpi)
            elif SECTIONS[name] in earlier:
                path.unlink(missing_ok=True)
    return written


def titles_of(networks):
    """Of each network its variant and its weights; a run is named by its folder."""
    paths = [
        path.absolute() if path.is_file() else Path(f"{path} weights")
        for path in (Path(each.weights) for each in networks)
    ]
    # Every run has a final.keras.
    names = told_apart(paths, parts=2 if any(each.run for each in networks) else 1)
    pairs = zip(networks, names, strict=True)
    return unique([f"{each.variant}, {name}" for each, name in pairs])


def unique(titles):
    """The titles, with numbers for equal ones."""
    numbers = [titles[: i + 1].count(title) for i, title in enumerate(titles)]
    return [
        title if titles.count(title) == 1 else f"{title} ({number})"
        for title, number in zip(titles, numbers, strict=True)
    ]


def description(network, title, image, files):
    height, width = network.size
    averaged = "of this image"
    if files is not None:
        number = f"{len(files)} image{'s' * (len(files) > 1)}"
        averaged = f"means over {number} of the folder"
    lines = [
        f"{title}, input {height} x {width} px (height x width), Keras on "
        f"{keras.backend.backend()}.",
        f"Image: {Path(image).name}. The numbers over the depth are {averaged}.",
    ]
    if network.weights == "random":
        lines.append("The weights are random: nothing here was learned.")
    return lines
