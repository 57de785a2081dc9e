"""How fast onnxruntime asks a model, with the pictures in memory and nothing else to do.

Alone   python -m benchmarks.onnx_rate MODEL PICTURES, a .onnx file and a number; prints JSON
"""

import json
import sys
import time

import numpy as np
import onnxruntime

BATCH_SIZE = 8  # as in stages.predict


def main() -> None:
    """Measure, and print pictures a second as JSON on the last line."""
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    (photo,), pictures = session.get_inputs(), int(sys.argv[2])
    batch = np.random.default_rng(1).uniform(0, 255, (BATCH_SIZE, *photo.shape[1:])).astype(np.float32)
    session.run(None, {photo.name: batch})  # warms up
    start = time.perf_counter()
    for done in range(0, pictures, BATCH_SIZE):
        session.run(None, {photo.name: batch[: pictures - done]})
    print(json.dumps(pictures / (time.perf_counter() - start)))


if __name__ == "__main__":
    main()
