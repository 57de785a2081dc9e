"""One script a stage, run as `python -m stages.NAME`; what they share is in `stages.lib`."""

import os

# onnxruntime sends Microsoft a word on each process from 1.29 on, when it is imported, unless this is set before
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
