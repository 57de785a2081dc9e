"""Trained models in use: exported files, answers about photos, and the page."""
