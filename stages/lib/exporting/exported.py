"""Exported files: ONNX and TensorFlow Lite, each with all that is needed to ask its network.

What there is to know, `About`, stands in ONNX' `metadata_props`, each value as JSON. In a TensorFlow Lite file it is
`metadata.json` in a zip archive that is appended to the network, which any unzip reads. The network has TensorFlow
Lite's standard metadata, too, see `add_metadata`, whose `labels.txt` is in that archive.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core.classifier import Classifier
from stages.lib.core.errors import UserError
from stages.lib.exporting.about import About
from stages.lib.exporting.onnx_files import OnnxNetwork, label_onnx, read_onnx
from stages.lib.exporting.tflite_files import TfliteNetwork, label_tflite, read_tflite


class Format(NamedTuple):
    """A file to write."""

    file: str
    tie: float  # two probabilities no further apart in Keras may change places
    dtype: str = "float32"  # of the photos that it takes


# with float32 sums are taken in another order; float16 keeps three digits of each weight. 8 bits answer as well as they
# can: how often otherwise than Keras is told
FORMATS = {
    "onnx": Format("best.onnx", 1e-4),
    "tflite": Format("best.tflite", 1e-4),
    "tflite_float16": Format("best-float16.tflite", 1e-2),
    "tflite_int8": Format("best-int8.tflite", 1.0, "uint8"),
}
# by the end of a file's name: the runtime of its network, what puts `About` into the file, and what reads both
RUNTIMES: dict[str, Callable[[bytes], Any]] = {".onnx": OnnxNetwork, ".tflite": TfliteNetwork}
LABELLERS: dict[str, Callable[[bytes, About], bytes]] = {".onnx": label_onnx, ".tflite": label_tflite}
READERS: dict[str, Callable[[bytes], tuple[Any, About]]] = {".onnx": read_onnx, ".tflite": read_tflite}


class Exported(NamedTuple):
    """An exported file, read."""

    classifier: Classifier  # its network has `predict_on_batch`, `input_shape` and `output_shape`, as Keras' have
    about: About


def load_exported(path: Path) -> Exported:
    """Read what one of `LABELLERS` gave; the end of its name says which.

    Raises `UserError` where ``path`` is not there, or no such file. A runtime trusts what it is given, so it gets the
    network only when the hash was found right. The hash finds damage, not malice: whoever makes a file can make its
    hash, too. So load files only from where you would take a program.
    """
    try:
        network, about = READERS[path.suffix](path.read_bytes())
        known = about.known_familiarity
        classifier = Classifier(network, about.breeds, about.resize, about.prepared_size, known)
        classifier.check()
        return Exported(classifier, about)
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `dvc repro` makes it.") from None
    except MemoryError:
        raise
    except Exception as error:  # each library stumbles over what is no file of its own in as many ways
        told = " ".join(str(error).split())  # pydantic's second line names the entry
        raise UserError(
            f"{path} is no exported model of this version of the pipeline, or not whole: {type(error).__name__}: "
            f"{told[:200]}"
        ) from None
