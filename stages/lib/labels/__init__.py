"""Which of the labels that came with the photos may be wrong."""
