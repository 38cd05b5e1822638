"""From a folder of photographs to a model, and to a page that runs it in the browser.

    python examples/finetune.py path/to/photographs --backend torch --web
    python examples/finetune.py path/to/photographs --weights none --model T2TViT7

The folder holds <class>/*, a fifth of which validates, or any other layout that
train_imagenet.py reads. Training follows the recipe for small sets and ends where
nothing gets better. With --web, the best weights are exported as ONNX in float32 and
int8, both compared with Keras in ONNX Runtime, and as a static page in RUN/web.
"""

import argparse
import functools
import http.server
import os
import socket
import sys
from pathlib import Path

CALIBRATION = 128  # images
ADDRESS = ("127.0.0.1", 8000)


def main():
    backend = argparse.ArgumentParser(add_help=False)
    backend.add_argument(
        "--backend", choices=["jax", "tensorflow", "torch"], help="Keras backend"
    )
    chosen = backend.parse_known_args()[0].backend
    if chosen:
        os.environ["KERAS_BACKEND"] = chosen  # read when Keras is first imported
    try:
        from keras_t2t.training.command_line import training_parser
    except ImportError as error:
        sys.exit(f"error: {error}")
    parser = training_parser(__doc__, backend, weights="imagenet")
    parser.add_argument("photographs", metavar="PHOTOS", help="folder of photographs")
    parser.add_argument(
        "--web", action="store_true", help="export ONNX files and a page to RUN/web"
    )
    parser.add_argument(
        "--serve", action="store_true", help="then show the page on localhost"
    )
    parser.set_defaults(recipe="small_set")
    settings = vars(parser.parse_args())
    if settings["data_dir"] or settings["dataset"]:
        parser.error("PHOTOS takes the place of --data-dir and --dataset")
    try:
        run(settings)
    except (ImportError, ValueError, OSError, RuntimeError, ArithmeticError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def run(settings):
    from keras_t2t.training import TrainingConfig, train
    from keras_t2t.training.distribution.cores import one_device_per_core

    web = settings.pop("web") or settings["serve"]
    serves = settings.pop("serve")
    if serves:
        check_port()
    settings.pop("backend")
    one_device_per_core(settings)
    settings["data_dir"] = settings.pop("photographs")
    if settings["weights"] == "none":
        settings["weights"] = None
    result = train(TrainingConfig(**settings), verbose=1 if sys.stdout.isatty() else 2)
    if result is None or "val_top1" not in result:
        return
    folder = Path(result["output_dir"])
    source, model, dataset = trained(folder, settings)
    lines = [f"top-1: {result['val_top1']:.1%}", confusion(source, model, dataset)]
    if web:
        lines += export(source, model, dataset, folder)
    print("\n" + "\n".join(lines), flush=True)
    if serves:
        serve(folder / "web")


def trained(folder, settings):
    """What a finished run left: where from, the model, its data."""
    from keras_t2t import data
    from keras_t2t.classifier import find_classifier

    source = find_classifier(folder)
    model = source.build(classifier_activation=None)
    dataset = data.open_dataset(
        data_dir=settings["data_dir"],
        skip_corrupt=settings["skip_corrupt"],
        validation_share=source.run["validation_share"],
        reader=source.run["reader"],
    )
    return source, model, dataset


def confusion(source, model, dataset):
    from keras_t2t.training.confusion import confusion_matrix, costliest

    counts = confusion_matrix(model, dataset, **source.transform)
    worst = costliest(counts)
    if worst is None:
        return "no validation image is taken for another class"
    row, column, images = worst
    names = dataset.class_names
    return (
        f"costliest confusion: {images} of {counts[row].sum()} images of "
        f"{names[row]} are taken for {names[column]}"
    )


def export(source, model, dataset, folder):
    """Writes the files; returns the lines that say where they are."""
    from keras_t2t import export_model

    shared = {
        "labels": list(dataset.class_names),
        "overwrite": True,
        **source.transform,
    }
    images = calibration_images(dataset, source.size[0])
    export_model(model, folder / "model.onnx", "onnx", **shared)
    export_model(
        model,
        folder / "model_int8.onnx",
        "onnx",
        precision="int8",
        calibration=images,
        **shared,
    )
    export_model(model, folder / "web", "web", **shared)
    return [
        f"model: {folder / 'model.onnx'} (and model_int8.onnx)",
        f"page: {folder / 'web'} (python -m http.server -d {folder / 'web'})",
    ]


def calibration_images(dataset, size):
    """uint8 array (images, size, size, 3) of training images as evaluation cuts them,
    of the same shape for any number of images."""
    import numpy as np

    from keras_t2t.data import AUGMENTATIONS

    count = min(CALIBRATION, dataset.num_train)
    batches = dataset.train_batches(size, count, 0, AUGMENTATIONS["none"])
    return np.asarray(next(iter(batches))[0])


def check_port():
    """Raises a ValueError, before anything is trained, if another program has it."""
    with socket.socket() as other:
        if other.connect_ex(ADDRESS) == 0:
            raise ValueError(
                f"--serve: port {ADDRESS[1]} is in use; say --web instead, and show "
                "the page with `python -m http.server -d RUN/web PORT`"
            )


def serve(folder):
    """Shows the page until interrupted."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(ADDRESS, handler) as server:
        print(f"http://localhost:{server.server_port}/ until Ctrl-C", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
