"""Whether a photo shows anything that a model knows: arrays in, scores, thresholds and tables out, no TensorFlow."""
