"""triton before TensorFlow: the other way round is a segmentation fault.

torch's default build brings triton and loads it late, when an optimizer is made or a
function compiled; Keras and others load TensorFlow late too. So when this package is
imported, it loads triton before Keras. If TensorFlow is already loaded, it blocks
triton in this process instead, and torch works as its builds without triton do.
"""

import importlib
import importlib.util
import sys

if "triton" not in sys.modules and importlib.util.find_spec("triton"):
    try:
        if "tensorflow" in sys.modules:
            raise ImportError("TensorFlow is already loaded")
        importlib.import_module("triton")  # a third of a second, and not torch
    except ImportError:
        # Whoever imports it now gets an ImportError.
        sys.modules["triton"] = None  # type: ignore[assignment]
