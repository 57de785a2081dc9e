"""What a linear probe of frozen features tells of photos and labels: which may be wrong, what more would give."""
