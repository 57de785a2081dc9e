"""The three splits of the photos."""

SPLITS = ("train", "val", "test")
