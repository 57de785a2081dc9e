"""Exported networks as ONNX, in onnxruntime."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime

from stages.lib.exporting.about import HASH, INPUT, OUTPUTS, About, check_hash


class OnnxNetwork:
    """An ONNX network in onnxruntime, to be asked as Keras' are."""

    def __init__(self, content: bytes):
        self._content = content
        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (photo,), outputs = self._session.get_inputs(), {each.name: each for each in self._session.get_outputs()}
        self.input_shape, *self.output_shape = (
            tuple(None if isinstance(size, str) else size for size in value.shape)
            for value in (photo, *(outputs[name] for name in OUTPUTS))
        )

    def __reduce__(self) -> tuple[type["OnnxNetwork"], tuple[bytes]]:
        return OnnxNetwork, (self._content,)

    def predict_on_batch(self, photos: np.ndarray) -> dict[str, np.ndarray]:
        """Photos 0-255 (n, side, side, 3) to what `with_familiarity` gives."""
        return dict(zip(OUTPUTS, self._session.run(OUTPUTS, {INPUT: np.asarray(photos, np.float32)}), strict=True))


def _hash_of_onnx(proto: onnx.ModelProto) -> str:
    """The sha256 of all that ``proto`` holds but the hash itself."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    kept = [entry for entry in proto.metadata_props if entry.key != HASH]
    del bare.metadata_props[:]
    bare.metadata_props.extend(kept)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def label_onnx(network: bytes, about: About) -> bytes:
    """The file of an ONNX network, with what there is to know of it inside."""
    proto = onnx.load_model_from_string(network)
    proto.doc_string = about.description
    onnx.helper.set_model_props(proto, {key: json.dumps(value, ensure_ascii=False) for key, value in about})
    proto.metadata_props.add(key=HASH, value=_hash_of_onnx(proto))
    return proto.SerializeToString(deterministic=True)


def read_onnx(content: bytes) -> tuple[OnnxNetwork, About]:
    """Read what `label_onnx` gave; raises whatever a library stumbles over."""
    proto = onnx.load_model_from_string(content)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    check_hash(entries, _hash_of_onnx(proto))
    about = {key: json.loads(entries[key]) for key in About.model_fields if key in entries}
    return OnnxNetwork(content), About.model_validate_json(json.dumps(about))
