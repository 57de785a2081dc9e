"""The networks that are trained, their precision, their files, and what rebuilds their graphs."""
