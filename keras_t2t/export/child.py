"""Writes a model for the parent process, which runs on another backend.

    python -m keras_t2t.export.child REQUEST.json

The model comes as a `.keras` file; nothing is pickled.
"""

import json
import sys
from pathlib import Path

import keras

from keras_t2t.export.formats import FORMATS, Options
from keras_t2t.export.rebuilding import ERRORS


def main(request):
    request = json.loads(Path(request).read_text())
    try:
        model = keras.saving.load_model(request["model"], compile=False)
        options = Options(**request["options"])
        FORMATS[request["format"]].write(model, Path(request["path"]), options)
    except Exception as error:
        kind = next((k for k, v in ERRORS.items() if isinstance(error, v)), "")
        message = str(error) if kind else f"{type(error).__name__}: {error}"
        Path(request["error"]).write_text(
            json.dumps({"type": kind, "message": message})
        )
        raise


if __name__ == "__main__":
    main(sys.argv[1])
