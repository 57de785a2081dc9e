"""The networks in other formats than Keras': ONNX and TensorFlow Lite, each file with all that is needed to ask it.

Both take photos under the name "photo", float32 (n, side, side, 3), red-green-blue 0-255, any number at once, and give
"probabilities", float32 (n, breeds). What else there is to know, `About`, stands in ONNX' `metadata_props`, each value
as JSON. In a TensorFlow Lite file it is `metadata.json` in a zip archive that is appended to the network, where
TensorFlow Lite's own metadata has its associated files, too (ai.google.dev/edge/litert/conversion/tensorflow/metadata);
beside it are the breeds as `labels.txt`. Any unzip reads them, and the runtime passes over them.
"""

import hashlib
import io
import json
import math
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from pydantic import BaseModel, ConfigDict

from stages.lib.errors import UserError
from stages.lib.model_files import EPOCH, METADATA, Classifier

LABELS = "labels.txt"
HASH = "sha256"
OPSET = 15  # Keras' own choice; runtimes from 2021 on know it
INPUT, OUTPUT = "photo", "probabilities"


class About(BaseModel):
    """What one needs to know to use an exported network, beside the network."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model: str  # one of the five
    keras_sha256: str  # of the .keras file that it was made from, see `hash_file`
    description: str  # what goes in and what comes out, for people
    breeds: list[str]  # in the order of the probabilities
    resize: Literal["crop", "pad", "squash"]  # how photos are made square, see `to_square`
    threshold: float | None  # from which confidence on it is sure, see `is_sure`; None: never
    views: int  # of a photo, over which the network averages, see `average_views`


class Exported(NamedTuple):
    """An exported file, read."""

    classifier: Classifier  # its network has `predict_on_batch`, `input_shape` and `output_shape`, as Keras' have
    about: About


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal; raises `FileNotFoundError` where there is none."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(classifier: Classifier, model: str, keras_sha256: str, threshold: float | None, views: int = 1) -> About:
    """What goes into the exported files of ``classifier``.

    Args:
        classifier: its network averages ``views`` views already.
        model: which of the five it is.
        keras_sha256: of its .keras file, see `hash_file`.
        threshold: from which confidence on it is sure; None: never.
        views: of a photo, see `average_views`.
    """
    side, breeds = classifier.image_size, classifier.breeds
    description = (
        f"{INPUT}: float32 (n, {side}, {side}, 3), red-green-blue 0-255, made square by resize={classifier.resize}; "
        f"{OUTPUT}: float32 (n, {len(breeds)}), in the order of breeds; not sure where the highest is below threshold"
    )
    if views > 1:
        description += "; they are means over the photo and its mirror image, which the network makes itself"
    return About(
        model=model,
        keras_sha256=keras_sha256,
        description=description,
        breeds=breeds,
        resize=classifier.resize,
        threshold=threshold,
        views=views,
    )


def _depthwise(layer: keras.layers.Conv2D) -> keras.layers.DepthwiseConv2D:
    """The same convolution as ``layer``, which has as many groups as channels and filters.

    Keras has XLA compile a convolution in groups, as ConvNeXt's are, and tf2onnx can't look into what is compiled.
    """
    same = ("name", "dtype", "kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias")
    config = layer.get_config()
    copied = keras.layers.DepthwiseConv2D.from_config({key: config[key] for key in same})
    copied.build(layer.input.shape)
    kernel, *bias = layer.get_weights()  # (height, width, 1, channels), where the copy has (height, width, channels, 1)
    copied.set_weights([kernel.transpose(0, 1, 3, 2), *bias])
    return copied


def _gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """GELU by the error function, as TensorFlow's own takes the complementary one, which tf2onnx does not know."""
    return 0.5 * x * (1 + keras.ops.erf(x / math.sqrt(2)))


def _exportable(network: keras.Model) -> keras.Model:
    """The same network as TensorFlow Lite and tf2onnx can take it; most of its weights are shared.

    NumPy's arrays stand for TensorFlow's tensors that are no weights: such tensors, as the mean that VGG16's
    preprocessing takes off, would become further inputs of the ONNX network. They are arguments of operations, and what
    `Normalization` layers are given. For convolutions in groups, see `_depthwise`, for ConvNeXt's GELU `_gelu`.
    """

    def copy(layer: keras.Operation) -> keras.Operation:
        if isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters == layer.input.shape[-1]:
            return _depthwise(layer)
        if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu:
            return keras.layers.Activation(_gelu, name=layer.name, dtype=layer.dtype_policy)
        if not isinstance(layer, keras.layers.Normalization):
            return layer
        copied = keras.layers.Normalization.from_config(layer.get_config())
        copied.build(layer.input.shape)
        copied.mean, copied.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        return copied

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(
            lambda value: np.asarray(value) if tf.is_tensor(value) else value, (args, kwargs)
        )
        return operation(*args, **kwargs)

    return keras.models.clone_model(network, clone_function=copy, call_function=call)


def _export(network: keras.Model, path: Path, **options: Any) -> None:
    """Have Keras export ``network`` to ``path``, with names for what goes in and out."""
    plain = _exportable(network)
    named = keras.Model(plain.inputs[0], {OUTPUT: plain.outputs[0]})
    signature = [keras.InputSpec(shape=network.input_shape, dtype="float32", name=INPUT)]
    with warnings.catch_warnings():
        # Keras mends tf2onnx for NumPy 2, which warns of it
        warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
        named.export(path, verbose=False, input_signature=signature, **options)


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Sort and name what ``graph`` holds by how its outputs come about.

    tf2onnx goes through sets of names, so that the order of the nodes, and which of two equal constants it keeps, would
    differ from one process to the next.
    """
    made_by = {value: node for node in graph.node for value in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    nodes, seen = [], set()
    waiting = [(made_by[output.name], False) for output in reversed(graph.output)]
    while waiting:
        node, has_its_inputs = waiting.pop()
        if has_its_inputs:
            nodes.append(node)
        elif node.output[0] not in seen:
            seen.add(node.output[0])
            waiting.append((node, True))
            waiting += [(made_by[value], False) for value in reversed(node.input) if value in made_by]
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}  # an input that is left out
    used = []
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
        for place, value in enumerate(node.input):
            if value not in names:
                names[value] = constants[value].name = f"{node.name}_constant_{place}"
                used.append(constants[value])
        for place, value in enumerate(node.output):
            names.setdefault(value, f"{node.name}_output_{place}")
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
    ordered = onnx.helper.make_graph(nodes, graph.name, graph.input, graph.output, used)
    graph.CopyFrom(ordered)


def _hash_of_onnx(proto: onnx.ModelProto) -> str:
    """The sha256 of all that ``proto`` holds but the hash itself."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    kept = [entry for entry in proto.metadata_props if entry.key != HASH]
    del bare.metadata_props[:]
    bare.metadata_props.extend(kept)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def save_onnx(classifier: Classifier, about: About, path: Path) -> None:
    """Write ``classifier`` to ``path`` as ONNX, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.onnx"
        _export(classifier.network, exported, format="onnx", opset_version=OPSET)
        proto = onnx.load(exported)
    side, breeds = classifier.image_size, len(classifier.breeds)
    proto = update_inputs_outputs_dims(proto, {INPUT: ["batch", side, side, 3]}, {OUTPUT: ["batch", breeds]})
    proto.doc_string = about.description
    _put_in_order(proto.graph)
    onnx.helper.set_model_props(proto, {key: json.dumps(value, ensure_ascii=False) for key, value in about})
    digest = _hash_of_onnx(proto)
    proto.metadata_props.add(key=HASH, value=digest)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def save_tflite(classifier: Classifier, about: About, path: Path, weights: str = "float32") -> None:
    """Write ``classifier`` to ``path`` as TensorFlow Lite, its weights as "float32" or "float16".

    With float16 the file is half as large; what is computed is float32 all the same where the processor has no float16.
    Only TensorFlow Lite's own operations are used, so that its plain runtime will do.
    """
    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    options: dict[str, Any] = {"target_spec": target}
    if weights == "float16":
        target["supported_types"] = [tf.float16]
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.tflite"
        _export(classifier.network, exported, format="litert", **options)
        network = exported.read_bytes()
    metadata = about.model_dump() | {HASH: hashlib.sha256(network).hexdigest()}
    path.write_bytes(network)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA, EPOCH), json.dumps(metadata, indent=2, ensure_ascii=False) + "\n")
        archive.writestr(zipfile.ZipInfo(LABELS, EPOCH), "".join(f"{breed}\n" for breed in about.breeds))


class OnnxNetwork:
    """An ONNX network in onnxruntime, to be asked as Keras' are."""

    def __init__(self, content: bytes):
        self._content = content
        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (photo,), (probabilities,) = self._session.get_inputs(), self._session.get_outputs()
        self.input_shape, self.output_shape = (
            tuple(None if isinstance(size, str) else size for size in value.shape) for value in (photo, probabilities)
        )

    def __reduce__(self) -> tuple[type["OnnxNetwork"], tuple[bytes]]:
        return OnnxNetwork, (self._content,)

    def predict_on_batch(self, photos: np.ndarray) -> np.ndarray:
        """Photos 0-255 (n, side, side, 3) to probabilities, float32 (n, breeds)."""
        return self._session.run([OUTPUT], {INPUT: np.asarray(photos, np.float32)})[0]


class TfliteNetwork:
    """A TensorFlow Lite network in LiteRT, its runtime, to be asked as Keras' are."""

    def __init__(self, content: bytes):
        self._content = content
        self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
        self._runner = self._interpreter.get_signature_runner()
        details = self._runner.get_input_details()[INPUT], self._runner.get_output_details()[OUTPUT]
        self.input_shape, self.output_shape = (
            tuple(None if size == -1 else int(size) for size in each["shape_signature"]) for each in details
        )

    def __reduce__(self) -> tuple[type["TfliteNetwork"], tuple[bytes]]:
        return TfliteNetwork, (self._content,)

    def predict_on_batch(self, photos: np.ndarray) -> np.ndarray:
        """Photos 0-255 (n, side, side, 3) to probabilities, float32 (n, breeds)."""
        return self._runner(**{INPUT: np.asarray(photos, np.float32)})[OUTPUT]


def _check_hash(entries: dict[str, str], found: str) -> None:
    if HASH not in entries:
        raise ValueError(f"its metadata have no {HASH}, which export writes")
    if entries[HASH] != found:
        raise ValueError(f"its content is not what its {HASH} was made of")


def _read_onnx(content: bytes) -> tuple[OnnxNetwork, About]:
    proto = onnx.load_model_from_string(content)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    _check_hash(entries, _hash_of_onnx(proto))
    about = {key: json.loads(entries[key]) for key in About.model_fields if key in entries}
    return OnnxNetwork(content), About.model_validate_json(json.dumps(about))


def _read_tflite(content: bytes) -> tuple[TfliteNetwork, About]:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError(f"no zip archive with {METADATA} is appended to it")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}  # checks each one's CRC
        starts = [member.header_offset for member in archive.infolist()]
    if METADATA not in members:
        raise ValueError(f"the zip archive that is appended to it has no {METADATA}")
    _check_hash(json.loads(members[METADATA]), hashlib.sha256(content[: min(starts)]).hexdigest())
    return TfliteNetwork(content), About.model_validate_json(members[METADATA])


READERS: dict[str, Callable[[bytes], tuple[OnnxNetwork | TfliteNetwork, About]]] = {
    ".onnx": _read_onnx,
    ".tflite": _read_tflite,
}


def load_exported(path: Path) -> Exported:
    """Read what `save_onnx` or `save_tflite` wrote; the end of its name says which.

    Raises `UserError` where ``path`` is not there, or no such file. A runtime trusts what it is given, so it gets the
    network only when the hash was found right. The hash finds damage, not malice: whoever makes a file can make its
    hash, too. So load files only from where you would take a program.
    """
    try:
        network, about = READERS[path.suffix](path.read_bytes())
        if network.output_shape != (None, len(about.breeds)):
            raise ValueError(f"it gives {network.output_shape} for {len(about.breeds)} breeds")
        return Exported(Classifier(network, about.breeds, about.resize), about)
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `dvc repro` makes it.") from None
    except MemoryError:
        raise
    except Exception as error:  # each library stumbles over what is no file of its own in as many ways
        told = " ".join(str(error).split())  # pydantic's second line names the entry
        raise UserError(
            f"{path} is no exported model of this pipeline, or not whole: {type(error).__name__}: {told[:200]}"
        ) from None
