"""Asking trained networks: their answers, what an answer costs, and where they looked."""
