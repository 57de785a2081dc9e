"""Which numbers' format a network computes in."""

import pytest
import tensorflow as tf

from stages.lib.networks import precision
from stages.lib.networks.precision import choose_precision, processor_flags


@pytest.mark.parametrize("asked", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_precision_that_is_asked_for_is_taken(asked):
    assert choose_precision(asked) == (asked, "set in params.yaml")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2", "avx512_bf16"}, ("mixed_bfloat16", "the processor has avx512_bf16")),
        ({"amx_bf16", "avx512_bf16"}, ("mixed_bfloat16", "the processor has amx_bf16 and avx512_bf16")),
        ({"avx2", "avx512f"}, ("float32", "the processor has no bfloat16")),
        (set(), ("float32", "the processor has no bfloat16")),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_has_it(flags, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])  # noqa: ARG005
    monkeypatch.setattr(precision, "processor_flags", lambda: flags)
    assert choose_precision("auto") == expected


@pytest.mark.parametrize(("capability", "expected"), [((8, 6), "mixed_bfloat16"), ((7, 5), "float32")])
def test_auto_asks_the_gpu_where_there_is_one(capability, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])  # noqa: ARG005
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)  # noqa: ARG005
    assert choose_precision("auto") == (expected, f"a GPU of compute capability {capability}")


def test_flags_are_those_of_the_first_processor_that_linux_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(precision.platform, "system", lambda: "Linux")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t: none\n\nprocessor\t: 1\nflags\t: other\n")
    assert processor_flags(cpuinfo) == {"fpu", "avx2"}
    cpuinfo.write_text("Features\t: fp asimd\n")  # as on ARM
    assert processor_flags(cpuinfo) == set()


def test_elsewhere_than_on_linux_no_flags_are_known(monkeypatch):
    monkeypatch.setattr(precision.platform, "system", lambda: "Darwin")
    assert processor_flags() == set()
