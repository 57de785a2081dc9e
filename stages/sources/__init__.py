"""The scripts of ``data/dvc.yaml``: where photos and pretrained weights come from."""
