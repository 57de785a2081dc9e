"""What stages hand each other: prepared pictures, features and predictions on disk, and batches of them for Keras."""
