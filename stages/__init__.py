"""One script a stage, run as `python -m stages.NAME`; what they share is in `stages.lib`.

Libraries read the environment when they are imported, so what they are told by it stands here.
"""

import os

from stages.lib.core import quiet

# TensorFlow, XLA, MLIR and CUDA log to stderr from C++; what goes wrong comes through as an exception of Python's
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# a logistic regression of 609 photos takes 0.06 s so, and 0.9 with two threads, which wait for each other most of the
# time; of 9,000 photos and 115 breeds 0.8 and 3.4
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# nothing is sent to anybody: onnxruntime from 1.29 on, and Ray, each ask once in every process
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what went wrong is told in words of ours
quiet.hush_tensorflow()
