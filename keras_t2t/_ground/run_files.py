"""Names of the files in a run folder, and whose a record is."""

CONFIG, CLASSES, RESULT = "config.json", "classes.json", "result.json"
HISTORY, CURVES, TENSORBOARD = "history.csv", "curves.png", "tensorboard"
BEST, FINAL, FINAL_EMA = "best.weights.h5", "final.keras", "final_ema.keras"
ADAPTERS = "adapters.lora.h5"  # of a run with LoRA
SNAPSHOTS = "snapshots"
# Files that a run has only after its first snapshot. The result is removed last, so
# that an interrupted removal can be recognized.
RESULTS = (HISTORY, BEST, FINAL, FINAL_EMA, ADAPTERS, SNAPSHOTS, RESULT)
# Everything that a run writes.
CONTENTS = (CONFIG, CLASSES, CURVES, TENSORBOARD, *RESULTS)
# Folders that other commands make in a run folder, and the file that marks each.
EVALUATION, SUMMARY = "evaluation", "evaluation.json"
PAGE, MANIFEST = "web", "manifest.json"
FOLDERS_OF_MODEL = {EVALUATION: SUMMARY, PAGE: MANIFEST}
# Files that `finetune --web` makes, and the one beside each that marks it.
ONNX, ONNX_CLASSES = "model.onnx", "model.classes.json"
INT8, INT8_CLASSES = "model_int8.onnx", "model_int8.classes.json"
FILES_OF_MODEL = {ONNX: ONNX_CLASSES, INT8: INT8_CLASSES}


def is_record(value):
    """Whether a JSON value is the record of a run of this package."""
    versions = value.get("versions") if isinstance(value, dict) else None
    return isinstance(versions, dict) and "keras_t2t" in versions
