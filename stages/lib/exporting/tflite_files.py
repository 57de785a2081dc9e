"""Exported networks as TensorFlow Lite, in LiteRT."""

import hashlib
import io
import json
import os
import zipfile
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from stages.lib.core.classifier import EPOCH, METADATA
from stages.lib.core.quiet import hushed
from stages.lib.exporting.about import HASH, INPUT, OUTPUTS, About, check_hash
from stages.lib.exporting.tflite_metadata import LABELS, add_metadata


class TfliteNetwork:
    """A TensorFlow Lite network in LiteRT, its runtime, to be asked as Keras' are."""

    def __init__(self, content: bytes):
        self._content = content
        self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
        with hushed():  # the first one tells which delegate it takes
            self._interpreter.allocate_tensors()
        self._runner = self._interpreter.get_signature_runner()
        details = self._runner.get_output_details()
        photo = self._runner.get_input_details()[INPUT]
        self._dtype = photo["dtype"]
        self.input_shape, *self.output_shape = (
            tuple(None if size == -1 else int(size) for size in each["shape_signature"])
            for each in (photo, *(details[name] for name in OUTPUTS))
        )

    def __reduce__(self) -> tuple[type["TfliteNetwork"], tuple[bytes]]:
        return TfliteNetwork, (self._content,)

    def predict_on_batch(self, photos: np.ndarray) -> dict[str, np.ndarray]:
        """Photos 0-255 (n, side, side, 3) to what `with_familiarity` gives."""
        return self._runner(**{INPUT: np.asarray(photos, self._dtype)})


def _entry_a_line(metadata: dict[str, Any]) -> str:
    """JSON that can be read on a screen, however many known photos there are."""
    entries = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in metadata.items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def label_tflite(network: bytes, about: About) -> bytes:
    """The file of a TensorFlow Lite network, with the standard metadata, and a zip archive with ours at its end."""
    network = add_metadata(network, about)
    metadata = about.model_dump() | {HASH: hashlib.sha256(network).hexdigest()}
    file = io.BytesIO()
    file.write(network)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA, EPOCH), _entry_a_line(metadata))
        archive.writestr(zipfile.ZipInfo(LABELS, EPOCH), "".join(f"{breed}\n" for breed in about.breeds))
    return file.getvalue()


def read_tflite(content: bytes) -> tuple[TfliteNetwork, About]:
    """Read what `label_tflite` gave; raises whatever a library stumbles over."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError(f"no zip archive with {METADATA} is appended to it")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}  # checks each one's CRC
        starts = [member.header_offset for member in archive.infolist()]
    if METADATA not in members:
        raise ValueError(f"the zip archive that is appended to it has no {METADATA}")
    check_hash(json.loads(members[METADATA]), hashlib.sha256(content[: min(starts)]).hexdigest())
    return TfliteNetwork(content), About.model_validate_json(members[METADATA])
