"""Pretrained networks: how they are built, where they are cut, and those that keras.applications lacks."""
