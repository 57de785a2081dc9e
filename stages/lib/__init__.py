"""What two or more stages share, one subject a module."""
