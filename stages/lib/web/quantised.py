"""The exported model in 8 bits, where it answers as it does in 32."""

import logging
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.datasets.pictures import picture_batches
from stages.lib.exporting.about import About
from stages.lib.exporting.onnx_files import OnnxNetwork, label_onnx
from stages.lib.exporting.parity import compare

ENOUGH = 0.995  # share of equal answers
ASKED = 1000  # photos at most, evenly spaced


class Choice(NamedTuple):
    """The model for the page."""

    content: bytes  # an .onnx file, as export writes it
    quantised: bool
    why: str  # in words for people


@contextmanager
def _without_its_advice() -> Iterator[None]:
    """Keep off what quantize_dynamic says to everybody by the root logger: to fuse first, which export has done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def quantise(network: bytes) -> bytes:
    """An ONNX network with its weights in 8 bits, and sums in 8 bits by scales found as it runs."""
    with tempfile.TemporaryDirectory() as folder, _without_its_advice():
        file = Path(folder, "quantised.onnx")
        # unsigned, as onnxruntime's convolutions are slower still with signed weights, and no nearer
        quantize_dynamic(onnx.load_model_from_string(network), file, weight_type=QuantType.QUInt8)
        return file.read_bytes()


def _ask(content: bytes, pictures: list[Path], side: int) -> dict[str, np.ndarray]:
    """What the network says of prepared ``pictures``, one at a time, as a page asks: each has scales of its own."""
    network = OnnxNetwork(content)
    said = [network.predict_on_batch(batch) for batch in picture_batches(pictures, 1, side)]
    return {name: np.concatenate([each[name] for each in said]) for name in (FAMILIARITY, PROBABILITIES)}


def choose(content: bytes, about: About, side: int, pictures: list[Path]) -> Choice:
    """Take the quantised model if it answers at least the share `ENOUGH` of ``pictures`` as the model itself does.

    Args:
        content: an exported .onnx file.
        about: what stands in it.
        side: pixels a side of the pictures that it takes.
        pictures: prepared photos of val; none: there is no telling, and it stays as it is.
    """
    if not pictures:
        why = "without prepared val photos there is no telling whether 8 bits would do"
        return Choice(content, False, f"float32: {why}")
    pictures = pictures[:: math.ceil(len(pictures) / ASKED)]
    quantised = label_onnx(quantise(content), about)
    expected, found = (_ask(each, pictures, side) for each in (content, quantised))
    parity = compare(expected, found, about.threshold, about.familiarity_threshold, tie=0)
    told = (
        f"in 8 bits it answers {parity.equal_answers:.1%} of {len(pictures)} val photos as in float32, and its "
        f"probabilities differ by up to {parity.largest_difference:.2g}"
    )
    if parity.equal_answers >= ENOUGH:
        return Choice(quantised, True, f"8 bits: {told}")
    return Choice(content, False, f"float32: {told}")
