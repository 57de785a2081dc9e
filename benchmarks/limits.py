"""What the machine can do at most: a matrix product, a forward pass, a training step, each with its data in memory.

TensorFlow is set up as the stages set it up, unless an option says otherwise.

Alone   python -m benchmarks.limits WEIGHTS PRECISION [--batch-size N] [--threads N] [--xla] [--not-deterministic]:
        VGG16's .weights.h5 without its top and a precision as in params.yaml; prints JSON
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from stages.lib.backbones.build import build_backbone
from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.networks.classifiers import head_network, join, pool, scratch_network
from stages.lib.networks.precision import set_precision

SIDE = 128
BREEDS = 5
ROUNDS = 12
MATRIX = 4096


def seconds_each(function: Callable[[], object]) -> float:
    """The median duration of ``function`` over `ROUNDS` calls, after two that warm up."""
    durations = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return float(np.median(durations[2:]))


def matrix_product(dtype: str) -> float:
    """The rate of a product of two square matrices, in GFLOP/s."""
    matrix = tf.cast(tf.random.normal((MATRIX, MATRIX), seed=1), dtype)
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))
    return 2 * MATRIX**3 / seconds_each(product) / 1e9


def layers_gflop(model: keras.Model) -> list[float]:
    """The floating point operations of each layer's matrix product for one picture, forward, in billions."""
    with_kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    # positions: 1 for a dense layer
    return [2e-9 * math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape) for layer in with_kernels]


def training_gflop(model: keras.Model) -> float:
    """Those of a training step: forward, the gradient by weights, and by inputs, which the first layer needs not."""
    gflop = layers_gflop(model)
    return 3 * sum(gflop) - gflop[0]


def forward_rate(model: keras.Model, batch_size: int, xla: bool) -> float:
    """Pictures a second of the bare forward pass."""
    pictures = tf.constant(np.random.default_rng(1).integers(0, 256, (batch_size, SIDE, SIDE, 3), np.uint8))
    run = tf.function(lambda: model(pictures, training=False), jit_compile=xla)
    return batch_size / seconds_each(run)


def training_rate(model: keras.Model, batch_size: int, xla: bool) -> float:
    """Pictures a second of a training step."""
    generator = np.random.default_rng(1)
    inputs = tf.constant(generator.random((batch_size, *model.input_shape[1:]), np.float32))
    targets = tf.constant(np.eye(BREEDS, dtype=np.float32)[generator.integers(0, BREEDS, batch_size)])
    model.compile(keras.optimizers.AdamW(1e-4), loss="categorical_crossentropy", jit_compile=xla)
    return batch_size / seconds_each(lambda: model.train_on_batch(inputs, targets))


def measure_networks(weights: Path, batch_size: int, xla: bool) -> list[tuple[str, float, float]]:
    """What is run, its GFLOP a picture, and its pictures a second."""
    backbone = build_backbone("VGG16", SIDE, weights)
    features = keras.Model(backbone.input, pool(backbone.output))
    head = head_network(features.output.shape[-1], BREEDS, 0.5)
    whole = join(backbone, head)
    block5 = last_layers(backbone.layers, 3)
    for layer in backbone.layers:
        layer.trainable = layer in block5
    top = keras.Model(cut_below(whole, block5).output, whole.output)
    scratch = scratch_network(SIDE, BREEDS, 0.3)
    return [
        ("forward pass of VGG16", sum(layers_gflop(features)), forward_rate(features, batch_size, xla)),
        ("training step of block5 and head", training_gflop(top), training_rate(top, batch_size, xla)),
        ("training step of the CNN from scratch", training_gflop(scratch), training_rate(scratch, batch_size, xla)),
    ]


def main() -> None:
    """Measure, and print JSON on the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits")
    parser.add_argument("weights", type=Path)
    parser.add_argument("precision")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, help="of one operation; as many as there are cores if not given")
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--not-deterministic", action="store_true")
    options = parser.parse_args()

    keras.utils.set_random_seed(1)
    if not options.not_deterministic:
        tf.config.experimental.enable_op_determinism()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    policy = set_precision(options.precision)
    dtype = policy.removeprefix("mixed_")
    products = {name: matrix_product(name) for name in sorted({"float32", dtype})}
    found = {
        "policy": policy,
        "matrix product, GFLOP/s": products,
        "networks": [
            {
                "what": what,
                "GFLOP a picture": gflop,
                "pictures/s": rate,
                "share of peak": rate * gflop / products[dtype],
            }
            for what, gflop, rate in measure_networks(options.weights, options.batch_size, options.xla)
        ],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
