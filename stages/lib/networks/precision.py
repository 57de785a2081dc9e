"""The numbers' format in which a network computes; its weights are float32 in any case."""

import platform
from pathlib import Path

import keras
import tensorflow as tf

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The instruction sets that Linux lists for the processor; none where there is no such list."""
    if platform.system() != "Linux":
        return set()
    lines = (line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    return set(next(lines, "").partition(":")[2].split())


def choose_precision(precision: str) -> tuple[str, str]:
    """The Keras dtype policy for ``precision``, and the reason for it in words.

    "auto" is mixed_bfloat16 where a GPU (compute capability 8.0 or more) or the processor multiplies bfloat16 in
    hardware, and float32 elsewhere, where it would be slower.
    """
    if precision != "auto":
        return precision, "set in params.yaml"
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return ("mixed_bfloat16" if capability >= (8, 0) else "float32"), f"a GPU of compute capability {capability}"
    found = sorted(BFLOAT16_FLAGS & processor_flags())
    if found:
        return "mixed_bfloat16", f"the processor has {' and '.join(found)}"
    return "float32", "the processor has no bfloat16"


def set_precision(precision: str) -> str:
    """Make ``precision`` the default of the layers to come, and return the dtype policy."""
    policy, _ = choose_precision(precision)
    keras.config.set_dtype_policy(policy)
    return policy
