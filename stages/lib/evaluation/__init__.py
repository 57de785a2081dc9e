"""Scores and tests of what models answered: arrays and tables in, numbers and sentences out, no TensorFlow."""
