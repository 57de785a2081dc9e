"""TensorFlow Lite's standard metadata, which MediaPipe, Android Studio and others read.

A flatbuffer of the schema metadata_schema.fbs (github.com/google/mediapipe, mediapipe/tasks/metadata), which stands in
a buffer of the model; files that it names are in the zip archive at the model's end. MediaPipe's own writer can't be
had: its wheels since 0.10.31 lack a module that it imports, and those before want NumPy 1. tests/test_mediapipe.py has
MediaPipe read what is written here.
"""

from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.exporting.about import INPUT, About

LABELS = "labels.txt"
HEADS = (PROBABILITIES, FAMILIARITY)
NAME = b"TFLITE_METADATA"  # of the entry that leads to the buffer
ALIGNMENT = 16  # bytes, which the schema asks of a buffer, and what Python writes of its own passes over


class Byte(int):
    """A number of one byte: an enumeration, or which table of a union follows."""


Table = Mapping[int, Any]  # by the number of the field in the schema: text, number, table, or a list of these


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    """Write a text, a table or a list, what is in it first, and give its place."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list) and isinstance(value[0], float):
        return builder.CreateNumpyVector(np.array(value, np.float32))
    if isinstance(value, list):
        places = [_write(builder, each) for each in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    fields = {field: each if isinstance(each, Byte | float) else _write(builder, each) for field, each in value.items()}
    builder.StartObject(max(fields, default=-1) + 1)
    for field, each in fields.items():
        if isinstance(each, Byte):
            builder.PrependInt8Slot(field, each, 0)
        elif isinstance(each, float):
            builder.PrependFloat32Slot(field, each, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, each, 0)
    return builder.EndObject()


def _thresholding(threshold: float | None) -> Table:
    """From which score on a head says anything: ScoreThresholdingOptions among its process units."""
    return {} if threshold is None else {4: [{0: Byte(3), 1: {0: threshold}}]}


def _describe(about: About) -> Table:
    """What the schema's ModelMetadata has to say of ``about``."""
    image = {0: Byte(2), 1: {0: Byte(1)}}  # ImageProperties: RGB
    as_it_is = [{0: Byte(1), 1: {0: [0.0], 1: [1.0]}}]  # NormalizationOptions: mean, std
    labels = {0: LABELS, 1: "the breeds, in the order of the probabilities", 2: Byte(2)}  # TENSOR_AXIS_LABELS
    tensors: dict[str, Table] = {
        PROBABILITIES: {
            1: "of each breed; a photo of whose breed the model is not sure has none from the threshold on",
            5: {0: [1.0], 1: [0.0]},
            6: [labels],
            **_thresholding(about.threshold),
        },
        FAMILIARITY: {
            1: "how much the photo is like those of training; below the threshold it shows none of these breeds",
            5: {0: [1.0], 1: [-1.0]},
            **_thresholding(about.familiarity_threshold),
        },
    }
    photo = {0: INPUT, 1: "red-green-blue, 0-255", 3: image, 4: as_it_is, 5: {0: [255.0], 1: [0.0]}}
    feature = {3: {0: Byte(1), 1: {}}}  # FeatureProperties
    subgraph = {2: [photo], 3: [{0: name, **feature, **tensors[name]} for name in HEADS]}
    version = about.keras_sha256[:12]
    return {0: about.model, 1: about.description, 2: version, 3: [subgraph], 5: about.licence, 7: "1.0.0"}


class _Aligned(schema.BufferT):
    """A buffer of the model whose content begins where the schema wants it."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        if self.data is not None and len(self.data):
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            self.place = builder.EndVector()
        schema.BufferStart(builder)
        if self.data is not None and len(self.data):
            schema.BufferAddData(builder, self.place)
        return schema.BufferEnd(builder)


def add_metadata(network: bytes, about: About) -> bytes:
    """``network``, a TensorFlow Lite model without a zip archive, with the standard metadata in it.

    Its outputs are put in another order, probabilities first: most programs look at the first alone.
    """
    model = schema.ModelT.InitFromPackedBuf(network, 0)
    (signature,), (graph,) = model.signatureDefs, model.subgraphs
    places = {each.name.decode(): each.tensorIndex for each in signature.outputs}
    graph.outputs = [places[name] for name in HEADS]
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, _describe(about)), b"M001")
    added = schema.BufferT()
    added.data = np.frombuffer(builder.Output(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(added)
    model.metadata = [*(model.metadata or []), entry]
    for buffer in model.buffers:
        buffer.__class__ = _Aligned
    builder = flatbuffers.Builder(len(network))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
