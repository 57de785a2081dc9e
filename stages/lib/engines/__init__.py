"""Where the work on many files is done: here, or on the nodes of a Ray cluster."""
