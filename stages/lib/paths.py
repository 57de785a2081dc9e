"""Where everything stands, relative to the repository's root, from which every stage is run."""

from pathlib import Path

PARAMS = Path("params.yaml")
GRAPH = Path("dvc.yaml")
CHECKPOINTS = Path(".checkpoints")

SAMPLE = Path("data/sample")
STANFORD_DOGS_ARCHIVE = Path("data/stanford_dogs.tar")
STANFORD_DOGS = Path("data/stanford_dogs")
WEIGHTS = Path("data/weights")

PREPARED = Path("data/prepared")
AUGMENTED = Path("data/augmented")
FEATURES = Path("data/features")
ACTIVATIONS = Path("data/activations")
MODELS = Path("models")
METRICS = Path("metrics")
COSTS = Path("metrics/costs")
PLOTS = Path("plots")
HISTORY = Path("plots/history")
PREDICTIONS = Path("plots/predictions")
