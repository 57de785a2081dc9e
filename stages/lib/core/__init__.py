"""What every stage shares: parameters, paths, errors, outputs that are whole or not there, the names of things."""
