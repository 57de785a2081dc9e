"""The terminal shows what the pipeline says, not what libraries say of themselves; what goes wrong comes through."""

import os
import subprocess
import sys
import textwrap

import pytest
from PIL import Image
from pipeline_fixtures import ROOT

CHATTER = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795567385.774979   21816 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1795567385.774979   21816 gpu_device.cc:2365] Cannot dlopen some GPU libraries.",
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
]
WORTH_TELLING = [
    "E0000 00:00:1795567385.774979   21816 some.cc:1] it failed",
    "F0000 00:00:1795567385.774979   21816 cpu_feature_guard.cc:1] compiled to use AVX instructions",
    "Traceback (most recent call last):",
    "  a warning of Python's: INFO: of something",
]
# converts a network for all runtimes, and asks each of them about a photo, as two stages and a command do
ALL_RUNTIMES = """
    import sys
    from pathlib import Path
    from stages import predict
    import numpy as np
    from stages.lib.core.classifier import Classifier
    from stages.lib.exporting.about import About
    from stages.lib.exporting.conversion import to_onnx, to_tflite
    from stages.lib.exporting.exported import LABELLERS
    from stages.lib.networks.classifiers import scratch_network, with_familiarity
    from stages.lib.networks.model_files import save_classifier

    plain = scratch_network(32, 2, dropout=0.1)
    network = with_familiarity(plain, np.eye(2, plain.layers[-1].kernel.shape[0], dtype=np.float32))
    save_classifier(Classifier(network, ["Borzoi", "Corgi"], "crop", 40, [0.1]), Path("it.keras"))
    about = About(model="it", keras_sha256="0", licence="", description="", breeds=["Borzoi", "Corgi"], resize="crop",
                  prepared_size=40, threshold=None, familiarity_threshold=None, known_familiarity=[0.1], views=1)
    for name, content in (("it.onnx", to_onnx(network)), ("it.tflite", to_tflite(network)[0])):
        Path(name).write_bytes(LABELLERS[Path(name).suffix](content, about))
    for name in ("it.keras", "it.onnx", "it.tflite"):
        sys.argv = ["predict", "dog.png", "--model", name]
        assert predict.main() == 0
"""


def run_python(script, folder, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, **options)


def test_converting_and_asking_in_every_runtime_tells_the_answers_and_nothing_else(tmp_path, write_params):
    write_params(tmp_path / "params.yaml")
    Image.new("RGB", (40, 32), "brown").save(tmp_path / "dog.png")
    done = run_python(ALL_RUNTIMES, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert [line for line in told if not line.startswith("  ")] == ["dog.png"] * 3
    assert sum("Borzoi" in line for line in told) == sum("Corgi" in line for line in told) == 3


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("os.abort()", -6), ("os.kill(os.getpid(), 9)", -9)]
)
def test_what_goes_wrong_comes_through_even_where_the_process_is_ended_at_once(tmp_path, end, code):
    told = "".join(f"{line}\n" for pair in zip(CHATTER, WORTH_TELLING, strict=True) for line in pair)
    script = f"""
        import os, sys
        from stages.lib.core.quiet import hushed
        with hushed():
            os.write(2, {told.encode()!r})
            {end or "pass"}
        print("after it", file=sys.stderr)
    """
    done = run_python(script, tmp_path)
    assert done.returncode == code
    assert done.stderr.splitlines() == WORTH_TELLING + ([] if end else ["after it"])


def test_an_exception_keeps_its_traceback(tmp_path):
    script = """
        from stages.lib.core.quiet import hushed
        with hushed():
            raise ImportError("no such library")
    """
    done = run_python(script, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ImportError: no such library\n")


def test_without_stderr_nothing_is_sifted(tmp_path):
    script = f"""
        import os, subprocess, sys
        os.close(2)
        code = "from stages.lib.core.quiet import hushed\\nwith hushed(): print('done')"
        subprocess.run([{sys.executable!r}, "-c", code], check=True)
    """
    assert run_python(script, tmp_path).stdout == "done\n"


def test_tensorflow_is_imported_by_the_first_who_asks_for_it_and_only_then(tmp_path):
    script = """
        import sys
        import stages
        before = list(sys.modules)
        import keras
        import tensorflow
        print("tensorflow" in before, tensorflow.__spec__.name, tensorflow.add(1, 2).numpy())
    """
    done = run_python(script, tmp_path)
    assert (done.stdout, done.stderr) == ("False tensorflow 3\n", "")


@pytest.mark.parametrize("first", ["keras", "tensorflow"])
def test_charts_and_scikit_learn_are_not_loaded_with_keras_and_can_be_later(tmp_path, first):
    """They would take a second of each stage's."""
    script = f"""
        import sys
        import stages
        import {first}, keras
        print([name for name in ("matplotlib", "sklearn") if name in sys.modules])
        import matplotlib.pyplot, sklearn.linear_model
        print(keras.ops.convert_to_numpy(keras.ops.ones(1)))
    """
    assert run_python(script, tmp_path).stdout == "[]\n[1.]\n"


@pytest.mark.parametrize(("before", "enabled"), [("enable", True), ("disable", False)])
def test_no_garbage_is_looked_for_in_what_keras_imports_and_later_it_is_as_before(tmp_path, before, enabled):
    """It would take a fifth of the seconds of the import."""
    script = f"""
        import gc, stages
        gc.{before}()
        collections = sum(each["collections"] for each in gc.get_stats())
        import keras
        print(sum(each["collections"] for each in gc.get_stats()) - collections < 10, gc.isenabled())
        print(len(gc.get_objects()) < gc.get_freeze_count() / 100)
    """
    assert run_python(script, tmp_path).stdout == f"True {enabled}\nTrue\n"


def test_two_threads_that_are_hushed_at_once_and_a_child_that_lives_on_hold_nobody_up(tmp_path):
    done = run_python(
        """
        import subprocess, sys, threading, time
        from stages.lib.core.quiet import hushed

        def speak(number):
            with hushed():
                time.sleep(0.2)
                print(f"INFO: chatter {number}", file=sys.stderr)

        threads = [threading.Thread(target=speak, args=[number]) for number in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        with hushed():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
        child.kill()
        print("to be told", file=sys.stderr)
        """,
        tmp_path,
        timeout=25,
    )
    assert (done.returncode, done.stderr) == (0, "to be told\n")


def test_where_stderr_is_closed_all_goes_on(tmp_path):
    done = run_python(
        """
        import os, sys
        os.close(2)
        sys.stderr = None
        from stages.lib.core.progress import Progress
        from stages.lib.core.quiet import hushed
        with hushed(), Progress(total=1) as bar:
            bar.update()
        print("done")
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
