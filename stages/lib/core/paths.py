"""Where everything stands, relative to the repository's root, from which every stage is run."""

from pathlib import Path

PARAMS = Path("params.yaml")
CHECKPOINTS = Path(".checkpoints")
TUNING = Path("tuning")

SAMPLE = Path("data/sample")
STANFORD_DOGS_ARCHIVE = Path("data/stanford_dogs.tar")
STANFORD_DOGS = Path("data/stanford_dogs")
WEIGHTS = Path("data/weights")

PREPARED = Path("data/prepared")
AUGMENTED = Path("data/augmented")
FEATURES = Path("data/features")
ACTIVATIONS = Path("data/activations")
PREDICTIONS = Path("data/predictions")
DATA_SIZE = Path("data/data_size")
EXPLAINED = Path("data/explained")
CONVERTED = Path("data/converted")
MODELS = Path("models")
EXPORTED = Path("models/exported")
METRICS = Path("metrics")
EVALUATION = Path("metrics/evaluate.json")
COSTS = Path("metrics/costs")
FEATURE_COSTS = Path("metrics/costs/features")
TRAINING_COSTS = Path("metrics/costs/training")
PREDICTION_COSTS = Path("metrics/costs/predictions")
PLOTS = Path("plots")
HISTORY = Path("plots/history")
CONFUSION = Path("plots/confusion")
PREDICTION_TABLES = Path("plots/predictions")
