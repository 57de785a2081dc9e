"""What libraries are told by the environment before they are imported."""

import json
import os
import subprocess
import sys

import pytest
from pipeline_fixtures import ROOT

TOLD = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


def environment_with(**preset: str) -> dict[str, str]:
    """What a process that imports the package `stages` has in its environment, of `TOLD`."""
    code = f"import os, stages; told = {{name: os.environ.get(name) for name in {list(TOLD)}}}\n"
    code += "import json, sys; print(json.dumps([told, len(sys.modules)]))"
    bare = {name: value for name, value in os.environ.items() if name not in TOLD}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare | preset, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found, modules = json.loads(done.stdout)
    assert modules < 200, "it imports a library itself, which then would have read the environment before"
    return found


def test_libraries_are_told_to_be_quiet_and_to_send_nothing():
    assert environment_with() == TOLD


@pytest.mark.parametrize("name", [name for name in TOLD if name != "ORT_DISABLE_TELEMETRY"])
def test_who_wants_to_hear_more_is_heard(name):
    assert environment_with(**{name: "1"}) == TOLD | {name: "1"}


def test_nothing_makes_onnxruntime_tell_its_maker():
    assert environment_with(ORT_DISABLE_TELEMETRY="0") == TOLD
