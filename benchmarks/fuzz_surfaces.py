"""What `fuzz.py` damages: sound files of every kind that is read from outside."""

import dataclasses
import io
import json
import os
import re
import shutil
import types
from pathlib import Path

import numpy as np

from benchmarks import data_layouts
from benchmarks.fuzz import ALL, ALWAYS, CUT, NOTHING, Surface, Wrong

SURFACES = {}  # by name


def surface(name, row, tells, cases, *arguments):
    """Adds a function as a `Surface`; `arguments` come after its folder."""

    def add(function):
        start = lambda folder: function(folder, *arguments)  # noqa: E731
        SURFACES[name] = Surface(row, tells, cases, start)
        return function

    return add


# === Checkpoints ===
def filled(value=None):
    """A ViT so small that half of its file is no weights."""
    import keras

    import keras_t2t

    keras.utils.set_random_seed(0)
    small = {"patch_size": 8, "input_shape": (16, 16, 3), "classes": 3}
    built, rng = keras_t2t.ViT(4, 1, 2, 1.0, **small), np.random.default_rng(0)
    for weight in built.weights:
        drawn = rng.normal(size=weight.shape)
        weight.assign(drawn if value is None else np.full(weight.shape, value))
    return built


def arrays(built):
    return [weight.numpy().tobytes() for weight in built.weights]


def write_checkpoint(name, built, path):
    import safetensors.numpy
    import torch

    import keras_t2t
    from keras_t2t.checkpoints import foreign_file, keras_file

    if name == "weights.h5":
        keras_file.save_weights(built, path)
    elif name == "weights.h5 of others":
        built.save_weights(path)
    elif name == "keras":
        built.save(path)
    else:
        keras_t2t.save_official(built, path)
    if name == "safetensors of others":
        tensors = foreign_file.read(path).tensors
        safetensors.numpy.save_file({k: np.array(v) for k, v in tensors.items()}, path)
    if name == "torch legacy":
        content = torch.load(path, weights_only=True)
        torch.save(content, path, _use_new_zipfile_serialization=False)


for name, tells, ending in (
    ("torch zip", ALL, "pth"),
    ("torch legacy", CUT, "pth"),
    ("safetensors", ALL, "safetensors"),
    ("safetensors of others", CUT, "safetensors"),
    ("weights.h5", ALL, "weights.h5"),
    ("weights.h5 of others", CUT, "weights.h5"),
    ("keras", ALL, "keras"),
):

    @surface(name, "checkpoints", tells, 1000, name, ending)
    def checkpoint(folder, name, ending):
        import keras_t2t

        path, empty = folder / f"x.{ending}", filled(0)
        write_checkpoint(name, filled(), path)
        zeros = arrays(empty)

        def use(path):
            try:
                keras_t2t.load_checkpoint(empty, path)
                return arrays(empty)
            except Exception:
                if arrays(empty) != zeros:
                    raise Wrong("refused, and yet the model has changed") from None
                raise
            finally:
                for weight in empty.weights:
                    weight.assign(np.zeros(weight.shape))

        return [path], use


@surface("adapters", "adapters", ALL, 500)
def adapters(folder):
    import keras_t2t

    path, taught, other = folder / "x.lora.h5", filled(0), filled(0)
    keras_t2t.add_adapters(taught, 2)
    for weight in taught.trainable_weights:
        weight.assign(np.full(weight.shape, 0.5))
    keras_t2t.save_adapters(taught, path)
    keras_t2t.load_adapters(other, path)  # what is frozen changes no more
    kept = [np.array(weight) for weight in other.get_weights()]

    def use(path):
        try:
            keras_t2t.load_adapters(other, path)
            return arrays(other)
        finally:
            other.set_weights(kept)

    return [path], use


# === Runs ===
@surface("snapshot", "snapshots of a run", ALWAYS, 3000)
def snapshot(folder):
    from keras_t2t.training.snapshots import Snapshots

    snapshots, metadata = Snapshots(folder), {"history": [{"loss": 0.5}], "config": {}}

    def state(step):
        rng = np.random.default_rng(step)
        shapes = {"model/0": (9, 8), "model/1": (), "optimizer/0": (40,)}
        return {name: rng.normal(size=shape) for name, shape in shapes.items()}

    for step in (1, 2):
        snapshots.save(step, state(step), metadata)

    def use(path):
        """Whether what is read is the one that was written last, or that before."""
        found = next(snapshots.readable(), None)
        if found is None:
            raise Wrong("the one before was not taken")
        expected = state(found.metadata["step"])
        return found.arrays.keys() == expected.keys() and all(
            np.array_equal(found.arrays[name], expected[name]) for name in expected
        )

    return [snapshots.paths()[-1]], use


def write_run(folder):
    """A finished run, of which only the weights are another model's."""
    from keras_t2t.training import TrainingConfig

    names, data = ["a", "b *c*", "d"], {"training images": 9, "validation images": 3}
    config = TrainingConfig("T2TViT7", data_dir="photos", image_size=32, epochs=2)
    record = {
        **dataclasses.asdict(config.with_defaults("photos", 3, 9)),
        **{"backend": "torch", "versions": {"keras_t2t": "0.1.0", "keras": "3.12.0"}},
        **{"data": {"name": "photos", **data, "classes": names}, "run": "0123"},
    }
    files = {
        "config.json": json.dumps(record),
        "classes.json": json.dumps(names),
        "result.json": json.dumps({"run": "0123", "result": {"epochs": 2}}),
        "history.csv": "epoch,loss,val_top1\n0,1.5,0.4\n1,1.25,0.5\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    filled().save(folder / "final.keras")
    return [folder / name for name in ("config.json", *files)]


@surface("records", "records of a run", NOTHING, 3000)
def records(folder):
    from keras_t2t.classifier import find_classifier
    from keras_t2t.settings.recorded import read_result
    from keras_t2t.training.run_folder import RunFolder
    from keras_t2t.visualization.runs import read_history

    def use(path):
        found = find_classifier(folder), read_history(folder), read_result(folder)
        with RunFolder(folder) as run:
            return repr((*found, run.find_run(resume=True)))

    return write_run(folder), use


def hub_in_memory(published):
    """What stands in for `HfApi` of `huggingface_hub`; `published` gets the files."""

    def upload_folder(*, folder_path, delete_patterns, **arguments):
        for pattern in delete_patterns:
            published.pop(pattern, None)
        for path in Path(folder_path).iterdir():
            published[path.name] = path.read_bytes()

    methods = {"create_repo": lambda *a, **b: None, "upload_folder": upload_folder}
    endpoint = "https://hub.example"
    return lambda **arguments: types.SimpleNamespace(endpoint=endpoint, **methods)


@surface("hub", "what goes to the hub", NOTHING, 3000)
def hub(folder):
    import huggingface_hub

    import keras_t2t

    published = {}

    def use(path):
        published.clear()
        keras_t2t.push_to_hub(folder, "ada/photos")
        card = published["README.md"].decode().split("---", 2)[2]
        shown = re.sub(r"\\[!-/:-@\[-`{-~]", "", card)  # without what is escaped
        if live := [text for text in ("<b>", "](http:/", "\x1b") if text in shown]:
            raise Wrong(f"the card shows {live}")
        return dict(published)

    huggingface_hub.HfApi = hub_in_memory(published)
    return write_run(folder), use


# === Data sources ===
def pictures():
    """{path: PNG}: of each of two classes three to train on and two to validate."""
    from PIL import Image

    files = {}
    for split, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                image = Image.new("RGB", (20, 30), (10 * i, 99 * label, 50 * count))
                image.save(file := io.BytesIO(), "PNG")
                files[f"{split}/{name}/{i}.png"] = file.getvalue()
    return files


def contents(folder):
    """All that a data set gives: names, labels and pixels of both splits."""
    from keras_t2t import data
    from keras_t2t.data.opening import naming_unreadable

    opened, found = data.open_dataset(data_dir=folder, reader="grain"), []
    with naming_unreadable(opened):
        for split in opened._source.splits.values():
            opened._source = opened._source._replace(validation=split)
            for images, targets in opened.validation_batches(16, 6):
                found += [np.asarray(images).tobytes(), np.asarray(targets).tolist()]
    return opened.class_names, found


def write_flat(folder, files):
    flat = {path.partition("/")[2]: content for path, content in files.items()}
    data_layouts.write_folders(folder, flat)


for name, write in (
    ("folders", data_layouts.write_folders),
    ("flat folder", write_flat),
    ("tars", data_layouts.write_tars),
    ("parquet", data_layouts.write_parquet),
    ("ImageNet's tars", data_layouts.write_imagenet_tars),
    ("Kaggle", data_layouts.write_kaggle),
):

    @surface(name, "data sources", NOTHING, 300, write)
    def source(folder, write):
        write(folder / "data", pictures())
        files = sorted(path for path in folder.rglob("data/**/*") if path.is_file())
        return files, lambda path: contents(folder / "data")


@surface("index", "index of tars", ALWAYS, 1000)
def index(folder):
    data_layouts.write_tars(folder / "data", pictures())
    contents(folder / "data")
    kept = sorted(Path(os.environ["KERAS_HOME"]).rglob("*.npz"))
    return kept, lambda path: contents(folder / "data")


# === Images ===
FORMATS = {  # how Pillow writes each: mode, its name of the format, settings
    "jpeg": ("RGB", "JPEG", {"quality": 95}),
    "progressive": ("RGB", "JPEG", {"progressive": True}),
    "grey": ("L", "JPEG", {}),
    "cmyk": ("CMYK", "JPEG", {}),
    "gif": ("P", "GIF", {}),
    "animated": ("P", "GIF", {"save_all": True, "append_images": True}),
    "webp": ("RGB", "WEBP", {}),
    "lossless": ("RGB", "WEBP", {"lossless": True}),
    "bmp": ("RGB", "BMP", {}),
    "tiff": ("RGB", "TIFF", {}),
    "png": ("RGB", "PNG", {}),
    "palette": ("P", "PNG", {}),
    "alpha": ("RGBA", "PNG", {}),
    "16 bit": ("I;16", "PNG", {}),
}


def write_images(folder, kinds):
    from PIL import Image

    y, x = np.mgrid[0:48, 0:64] / 63
    pixels = np.stack([np.round(255 * c) for c in (x, y, 1 - x * y)], -1)
    picture = Image.fromarray(pixels.astype("uint8"))
    for name in kinds:
        mode, format, settings = FORMATS[name]
        image = picture.convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype("uint16") * 257)
        if "append_images" in settings:
            settings = {**settings, "append_images": [image.rotate(90)]}
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name, format, **settings)
    return [folder / name for name in kinds]


def transformed(folder, kinds):
    from keras_t2t.preprocessing import evaluation_transform

    files = write_images(folder, kinds)
    return files, lambda path: evaluation_transform(path, (32, 32)).tobytes()


def batched(folder, kinds, reader):
    from keras_t2t import data
    from keras_t2t.data.opening import naming_unreadable

    files = write_images(folder / "images", kinds)
    held = [folder / "data" / split / "class/image" for split in ("train", "val")]
    for path in held:
        path.parent.mkdir(parents=True)
        shutil.copy(files[0], path)
    opened = data.open_dataset(data_dir=folder / "data", reader=reader)
    batches = opened.train_batches(32, 1, 0), opened.validation_batches(32, 1)

    def use(path):
        for copy in held:
            shutil.copy(path, copy)
        with naming_unreadable(opened):
            return [np.asarray(next(iter(each))[0]).tobytes() for each in batches]

    return files, use


for tells, part, kinds in (
    (CUT, "", [name for name, row in FORMATS.items() if row[1] != "PNG"]),
    (ALL, ", PNG", [name for name, row in FORMATS.items() if row[1] == "PNG"]),
):
    for reader, cases in (("grain", 1000), ("tensorflow", 50)):
        surface(f"{reader}{part}", "images", tells, cases, kinds, reader)(batched)
    surface(f"evaluation_transform{part}", "images", tells, 3000, kinds)(transformed)
