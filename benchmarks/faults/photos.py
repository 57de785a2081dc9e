"""The photographs that are measured on, what is made of them, and the features of frozen networks, each made once."""

import hashlib
import io
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageEnhance
from tqdm import tqdm

from benchmarks.faults.recipe import BATCH_SIZE, Pictures
from benchmarks.photographs import read_photos
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.params import Params, Training
from stages.lib.images.duplicates import group_labels, near_pairs, perceptual_hashes
from stages.lib.images.photos import to_square
from stages.lib.images.views import random_view, view_generator
from stages.lib.networks.classifiers import pool

SIDE = 128  # pixels of pictures for frozen networks
SMALL = 64  # for the CNN from scratch, which then takes a quarter of the time


def light_edit(photo: Image.Image, generator: np.random.Generator) -> Image.Image:
    """What a phone or a messenger makes of a photo: cut by up to 3 % a side, lightened, shrunk, saved anew."""
    width, height = photo.size
    ends = np.array([0, 0, width, height]) + generator.uniform(0, 0.03, 4) * [width, height, -width, -height]
    photo = photo.crop(tuple(ends.round().astype(int).tolist()))
    photo = ImageEnhance.Color(photo).enhance(generator.uniform(0.9, 1.2))
    photo = ImageEnhance.Brightness(photo).enhance(generator.uniform(0.95, 1.15))
    photo = photo.resize((round(width * 0.8), round(height * 0.8)), Image.Resampling.BICUBIC)
    saved = io.BytesIO()
    photo.save(saved, "JPEG", quality=int(generator.integers(60, 85)))
    return Image.open(saved).convert("RGB")


def pixels_of(photos: list[Image.Image], side: int = SIDE, resize: str = "crop") -> np.ndarray:
    """``photos`` made square as `data.resize` has it: uint8 (photos, side, side, 3)."""
    return np.stack([np.asarray(to_square(photo, side, resize)) for photo in photos])


def frozen_features(network: str, pixels: np.ndarray) -> np.ndarray:
    """Pooled features of a frozen network of `NETWORKS`, with its bundled weights: float32 (pictures, channels)."""
    backbone = build_backbone(network, pixels.shape[1], paths.WEIGHTS / f"{network}-bundled.weights.h5")
    model = keras.Model(backbone.input, pool(backbone.output))
    starts = tqdm(range(0, len(pixels), BATCH_SIZE), desc=network, unit="batch", mininterval=10)
    return np.concatenate([model.predict_on_batch(pixels[start : start + BATCH_SIZE]) for start in starts])


class Photographs:
    """The photographs of a folder, one sub-folder a breed, and what the faults need of them."""

    def __init__(self, folder: Path, params: Params):
        """Read them; ``params`` says what views are made and what a near duplicate is."""
        by_breed = read_photos(folder)
        self.images = [photo for photos in by_breed.values() for photo in photos]
        self.breeds = np.array([breed for breed, photos in by_breed.items() for _ in photos])
        self.params = params
        self._features: dict[tuple[str, str], np.ndarray] = {}

    @cached_property
    def pixels(self) -> np.ndarray:
        """Of the photos: uint8 (photos, `SIDE`, `SIDE`, 3)."""
        return pixels_of(self.images)

    @cached_property
    def edits(self) -> list[Image.Image]:
        """A light edit of each photo."""
        return [light_edit(photo, np.random.default_rng(place)) for place, photo in enumerate(self.images)]

    @cached_property
    def photos(self) -> Pictures:
        """The photos alone, as pixels."""
        return self._rows(self.pixels, self.images)

    @cached_property
    def with_edits(self) -> Pictures:
        """The photos and then an edit of each, as pixels."""
        pictures = self._rows(np.concatenate([self.pixels, pixels_of(self.edits)]), [*self.images, *self.edits])
        return replace(pictures, shows=pictures.shows % len(self.images))

    @cached_property
    def with_views(self) -> Pictures:
        """The photos and then `augment.copies` views of each, as pixels."""
        photos, copies = self.photos, self.params.augment.copies
        rows = np.concatenate([photos.shows, np.repeat(photos.shows, copies)])
        drawn = [
            self._view(pixels, copy)
            for pixels in tqdm(self.pixels, desc="views", unit="photo", mininterval=10)
            for copy in range(copies)
        ]
        views = np.arange(len(rows)) >= len(self.images)
        pixels = np.concatenate([self.pixels, np.stack(drawn)])
        return Pictures(pixels, photos.breeds[rows], rows, views, photos.groups[rows], photos.digests[rows])

    def features(self, network: str, kind: str) -> Pictures:
        """`photos`, `with_edits` or `with_views`, as ``kind`` says, with the features of a frozen network as inputs."""
        pictures: Pictures = getattr(self, kind)
        if (network, kind) not in self._features:
            self._features[network, kind] = frozen_features(network, pictures.inputs)
        return replace(pictures, inputs=self._features[network, kind])

    def small(self, kind: str) -> Pictures:
        """Likewise, with `SMALL` pixels as inputs, for a network that is trained from nothing."""
        pictures: Pictures = getattr(self, kind)
        return replace(pictures, inputs=pixels_of([Image.fromarray(pixels) for pixels in pictures.inputs], SMALL))

    def small_and_frozen(self, kind: str) -> list[tuple[str, Pictures, Training]]:
        """The two networks on which most faults are tried, what each takes and how it trains."""
        return [
            ("CNN", self.small(kind), self.params.train_scratch),
            ("head", self.features("EfficientNetLite0", kind), self.params.transfer),
        ]

    def _view(self, pixels: np.ndarray, copy: int) -> np.ndarray:
        """A view of a photo as the stage `augment` makes it: uint8 like ``pixels``."""
        settings, generator = self.params.augment, view_generator(self.params.seed, pixels.tobytes(), copy)
        limits = settings.rotation, settings.zoom, settings.flip, settings.brightness, settings.contrast
        return np.asarray(random_view(Image.fromarray(pixels), generator, *limits))

    def _rows(self, pixels: np.ndarray, images: list[Image.Image]) -> Pictures:
        """``images`` as photos of a person's, with their near duplicates as `prepare` finds them."""
        hashes, mirrored = np.array([perceptual_hashes(image) for image in images], np.uint64).T
        groups = group_labels(len(images), near_pairs(hashes, mirrored, self.params.data.duplicate_distance))
        digests = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])
        breeds = np.resize(self.breeds, len(images))
        return Pictures(pixels, breeds, np.arange(len(images)), np.zeros(len(images), bool), groups, digests)
