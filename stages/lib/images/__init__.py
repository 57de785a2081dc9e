"""Photos as people have them: read, made square, told apart from their duplicates, split, and turned into views."""
