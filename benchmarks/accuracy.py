"""How many of the test photos a model names right.

Alone   python -m benchmarks.accuracy MODEL, a .keras file, in a folder where `dvc repro` has run; prints JSON
"""

import json
import sys
from pathlib import Path

import numpy as np

from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.datasets.pictures import find_pictures
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.model_files import load_classifier


def main() -> None:
    """Ask, and print the share of right answers, 0 to 1, as JSON on the last line."""
    classifier = load_classifier(Path(sys.argv[1]))
    files, breeds = find_pictures(paths.PREPARED / "test")
    probabilities = predict_pictures(classifier.network, files, "test")[PROBABILITIES]
    named = np.array(classifier.breeds)[probabilities.argmax(axis=1)]
    print(json.dumps(float(np.mean(named == breeds))))


if __name__ == "__main__":
    main()
