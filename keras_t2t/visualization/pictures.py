"""Draws channels and attention weights as pixels."""

import functools
import math

import numpy as np

from keras_t2t._ground.optional_imports import import_library, import_matplotlib
from keras_t2t.visualization.features import channel_states

TILE = 112  # pixels of a channel's longer side: a multiple of 7, 14, 28 and 56
GAP = 6
MIN_SIDE = 224  # pixels of a drawn image's shorter side

# A picture of channels has indices into a palette: shades of cividis, whose lightness
# rises evenly for every kind of colour vision, then these three.
SHADES = 253
BACKGROUND, DEAD, SATURATED = 253, 254, 255
MARKS = {DEAD: "#D55E00", SATURATED: "#56B4E9"}  # from Okabe and Ito's safe colours


@functools.cache
def palette():
    """uint8 array (256, 3): the shades, white, and the colours of the marks."""
    matplotlib = import_matplotlib()
    shades = matplotlib.colormaps["cividis"](np.linspace(0, 1, SHADES))[:, :3]
    rest = map(matplotlib.colors.to_rgb, ("white", *MARKS.values()))
    colours = [*shades, *rest]
    return np.round(255 * np.array(colours)).astype("uint8")


# === Channels ===
def channel_mosaic(features, count=16, columns=4):
    """Draws `count` channels side by side, evenly spread over all of `features`, each
    scaled from its 1st to its 99th percentile.

    A dead channel has an orange frame and a cross, a saturated one a blue frame and a
    filled corner (see `channel_states`). The pixels are indices into `palette()`.
    """
    states = channel_states(features)
    last = features.shape[-1] - 1
    drawn = np.unique(np.linspace(0, last, min(count, last + 1)).round()).astype(int)
    columns = min(columns, len(drawn))
    tiles = []
    for channel in drawn:
        tile = enlarged(shades(features[..., channel]))
        if states.dead[channel]:
            tile[:] = 0
            mark(tile, DEAD)
        elif states.saturated[channel]:
            mark(tile, SATURATED)
        tiles.append(tile)
    height, width = tiles[0].shape
    rows = math.ceil(len(tiles) / columns)
    size = rows * (height + GAP) - GAP, columns * (width + GAP) - GAP
    sheet = np.full(size, BACKGROUND, "uint8")
    for i, tile in enumerate(tiles):
        top, left = (height + GAP) * (i // columns), (width + GAP) * (i % columns)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def shades(values):
    """Indices 0..252 into the palette, from the 1st to the 99th percentile."""
    values = np.nan_to_num(values.astype("float64"))
    low, high = np.percentile(values, (1, 99))
    scaled = np.clip((values - low) / (high - low or 1), 0, 1)
    return np.round((SHADES - 1) * scaled).astype("uint8")


def enlarged(tile):
    """A tile of about `TILE` pixels: values become squares, or are averaged."""
    height, width = tile.shape
    if max(tile.shape) <= TILE:
        times = TILE // max(tile.shape)
        return tile.repeat(times, axis=0).repeat(times, axis=1)
    Image = import_library("PIL.Image", "visualize")
    factor = TILE / max(tile.shape)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.array(Image.fromarray(tile).resize(size, Image.BOX))


def mark(tile, colour):
    """Frames a tile in place; the shape says the same as the colour."""
    height, width = tile.shape
    thick = max(2, max(tile.shape) // 28)
    tile[:thick] = tile[-thick:] = tile[:, :thick] = tile[:, -thick:] = colour
    if colour == DEAD:
        y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
        line = thick / 2 / min(tile.shape)
        tile[(np.abs(y - x) < line) | (np.abs(y + x - 1) < line)] = colour
    else:
        tile[: height // 4, : width // 4] = colour


# === Attention over the image ===
def attention_overlay(view, weights, token=None):
    """Draws attention weights `(rows, columns)` over the grey image, yellow where they
    are largest, with a frame around the attending `token`, if it is given.

    Shades follow the square root of the weight, up to the 99th percentile: on a linear
    scale a peak would leave everything else black.
    """
    Image = import_library("PIL.Image", "visualize")
    photograph = Image.fromarray(drawn_view(view)).convert("L").convert("RGB")
    largest = np.percentile(weights, 99) or weights.max() or 1
    scaled = np.sqrt(np.clip(weights / largest, 0, 1))
    heat = palette()[np.round((SHADES - 1) * scaled).astype("uint8")]
    heat = Image.fromarray(heat).resize(photograph.size, Image.NEAREST)
    picture = np.array(Image.blend(photograph, heat, 0.7))
    if token is not None:
        (height, width), (rows, columns) = picture.shape[:2], weights.shape
        top, bottom = (round((token[0] + i) * height / rows) for i in (0, 1))
        left, right = (round((token[1] + i) * width / columns) for i in (0, 1))
        inside = picture[top:bottom, left:right].copy()
        for reach, colour in ((4, (255, 255, 255)), (2, palette()[DEAD])):
            down = slice(max(0, top - reach), bottom + reach)
            across = slice(max(0, left - reach), right + reach)
            picture[down, across] = colour
        picture[top:bottom, left:right] = inside
    return picture


def drawn_view(view):
    """The image as the model sees it, enlarged to at least 224 px."""
    Image = import_library("PIL.Image", "visualize")
    height, width = view.shape[:2]
    times = max(1, math.ceil(MIN_SIDE / min(height, width)))
    image = Image.fromarray(view)
    return np.array(image.resize((times * width, times * height), Image.BICUBIC))
