"""Types of public arguments and results, for editors and type checkers."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

FilePath = str | os.PathLike[str]
Tensor = Any  # a tensor of any backend, or an array
Array = Any  # a NumPy array
Image = Any  # a path, a `PIL.Image.Image` or an array, see each docstring
Figure = Any  # `matplotlib.figure.Figure`, which may be missing
Triple = Sequence[float]  # one number per colour
Size = tuple[int, int]  # height and width in pixels

# Arguments of the models.
Weights = FilePath | None
Shape = tuple[int, int, int] | None
Pooling = Literal["token", "avg"] | None
Features = Sequence[str] | None
Activation = str | Callable[..., Any] | None
TokenType = Literal["performer", "transformer", "convolution"]
BlockType = Literal["standard", "se", "ghost"]

# Arguments of export.
Format = Literal[
    "tf_saved_model", "onnx", "web", "triton", "litert", "openvino", "torch", "keras"
]
Precision = Literal["float32", "float16", "int8", "int4"]
Interpolation = Literal["bicubic", "bilinear"]

Stages = Sequence[str] | str | None
FeatureMaps = Mapping[str, Array]
