"""The training loop, its checkpoints, its devices and what it writes."""
