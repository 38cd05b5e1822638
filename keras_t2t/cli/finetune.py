"""From a folder of photographs to a model, and to a page that runs it in the browser.

The folder holds <class>/*, of which a fifth is used for validation, or any other layout
that `train` reads. `finetune` follows the recipe for small sets, which ends training
when validation no longer improves, and `transfer_learning.py` the authors' recipe
(--recipe). With --web, the final model is exported as ONNX in float32 and int8, both
compared with Keras in ONNX Runtime, and as a static page in RUN/web.
"""

import functools
import http.server
import signal
import socket
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.run_files import INT8, ONNX, PAGE
from keras_t2t.cli import training_flags
from keras_t2t.cli.evaluation_report import confusions
from keras_t2t.cli.stopping import quoted

USAGE = "PHOTOS"
EXAMPLE = "keras-t2t finetune path/to/photographs --web"
CALIBRATION = 128  # images
ADDRESS = ("127.0.0.1", 8000)


def add_flags(parser, defaults):
    defaults = {"weights": "imagenet", "recipe": "small_set", **defaults}
    devices = training_flags.add_training_flags(parser, **defaults)
    parser.add_argument(
        "photographs",
        metavar="PHOTOS",
        nargs="?",
        help="folder of photographs, in place of --data-dir and --dataset",
    )
    add = parser.add_argument_group("page").add_argument
    add("--web", action="store_true", help="export ONNX files and a page to RUN/web")
    add("--serve", action="store_true", help="then show the page on localhost")
    return devices


def main(arguments):
    settings = vars(arguments)
    serves = settings.pop("serve")
    web = settings.pop("web") or serves
    if serves:
        check_port()
    take_photographs(settings)
    result = training_flags.train_from_flags(settings)
    if result is None:  # torchrun starts a script once per device
        return
    folder = Path(result["output_dir"])
    lines = [f"top-1: {result['val_top1']:.1%}"]
    photographs = settings["dataset"] is None
    if photographs or web:
        source, model, dataset = trained(folder, settings)
    if photographs:
        lines.append(confusion(source, model, dataset))
    if web:
        lines += export(source, model, dataset, folder)
    print("\n" + "\n".join(lines), flush=True)
    training_flags.print_result(result)
    if serves:
        serve(folder / PAGE)


def take_photographs(settings):
    """Makes PHOTOS, the folder on the command line, the data of the run."""
    photographs = settings.pop("photographs")
    named = settings["data_dir"] or settings["dataset"]
    default_data = settings["images"]["data_dir"] or settings["images"]["dataset"]
    if photographs and named:
        raise ValueError("PHOTOS takes the place of --data-dir and --dataset: give one")
    if photographs:
        settings["data_dir"] = photographs
    elif not (named or default_data or training_flags.goes_on(settings)):
        folder, told = settings["output_dir"], ""
        if settings["resume"] and folder:
            told = f" (--resume found no run in {folder!r})"
        raise ValueError(
            f"give PHOTOS, a folder of photographs, or --dataset NAME{told}"
        )


def trained(folder, settings):
    """The `Classifier`, the model and the data set of a finished run."""
    from keras_t2t import data
    from keras_t2t.classifier import find_classifier
    from keras_t2t.training.accuracy import check_classes

    source = find_classifier(folder)
    model = source.build(classifier_activation=None)
    name, images = settings["dataset"], settings["data_dir"]
    skips = settings["skip_corrupt"]
    if not name and not images:  # it was resumed
        name, images = source.run["dataset"], source.run["data_dir"]
        skips = skips or source.run["skip_corrupt"]
    dataset = data.open_dataset(
        name,
        images,
        skip_corrupt=skips,
        validation_share=source.run["validation_share"],
        reader=source.run["reader"],
        exif_orientation=source.exif_orientation,
    )
    # A run that was finished already may be of other photographs.
    check_classes(dataset, source.classes, source.class_names, folder)
    return source, model, dataset


def confusion(source, model, dataset):
    """The line that says which class is most often mistaken for which."""
    import numpy as np

    counts, _ = confusions(model, dataset, **source.transform)
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return "no validation image is mistaken for another class"
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    names = dataset.class_names
    return (
        f"most frequent confusion: {wrong[row, column]} of {counts[row].sum()} images "
        f"of {shown(names[row])} are mistaken for {shown(names[column])}"
    )


def export(source, model, dataset, folder):
    """Writes the files; returns the lines that say where they are."""
    from keras_t2t.export import export_model

    shared = {
        "labels": list(dataset.class_names),
        "overwrite": True,
        **source.photograph_transform,
    }
    images = calibration_images(dataset, source.size[0], **source.transform)
    int8 = {"precision": "int8", "calibration": images}
    export_model(model, folder / ONNX, "onnx", **shared)
    export_model(model, folder / INT8, "onnx", **int8, **shared)
    page = folder / PAGE
    export_model(model, page, "web", **shared)
    return [
        f"model: {shown(folder / ONNX)} (and {INT8})",
        f"page: {shown(page)} (python -m http.server -d {quoted(str(page))})",
    ]


def calibration_images(dataset, size, **transform):
    """uint8 array (images, size, size, 3) of training images, cropped as in evaluation;
    `transform` holds its `crop` and `interpolation`."""
    import numpy as np

    from keras_t2t.data import AUGMENTATIONS

    count = min(CALIBRATION, dataset.num_train)
    batches = dataset.train_batches(size, count, 0, AUGMENTATIONS["none"], **transform)
    return np.asarray(next(iter(batches))[0])


def check_port():
    """Raises a ValueError, before anything is trained, if the port is in use."""
    with socket.socket() as other:
        if other.connect_ex(ADDRESS) == 0:
            raise ValueError(
                f"--serve: port {ADDRESS[1]} is in use; give --web instead, and show "
                "the page with `python -m http.server -d RUN/web PORT`"
            )


class Fresh(http.server.SimpleHTTPRequestHandler):
    """Serves files that browsers do not keep unasked: all pages have one address."""

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def serve(folder):
    """Shows the page until interrupted."""
    handler = functools.partial(Fresh, directory=folder)
    with http.server.ThreadingHTTPServer(ADDRESS, handler) as server:
        print(f"http://localhost:{server.server_port}/ until Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt as error:  # the way to end it, as printed
            if getattr(error, "signal", signal.SIGINT) != signal.SIGINT:
                raise
