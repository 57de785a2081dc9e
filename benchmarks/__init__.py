"""Measurements of speed and memory: no test, no threshold. Start with `python -m benchmarks.run`."""
