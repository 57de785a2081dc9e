"""Photos that show the same picture: found by perceptual hash, so that a split can keep them on one side."""

import imagehash
import numpy as np
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS = 64
_BLOCK = 256  # rows compared at a time, which bounds the memory: 50 MB for 20,000 photos


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that barely change when a picture is resized, recompressed or made lighter (`imagehash.phash`)."""
    return int(str(imagehash.phash(image)), 16)


def perceptual_hashes(image: Image.Image) -> tuple[int, int]:
    """The hash of a picture and that of its mirror image."""
    return perceptual_hash(image), perceptual_hash(ImageOps.mirror(image))


def near_pairs(hashes: np.ndarray, mirrored: np.ndarray, distance: int) -> np.ndarray:
    """All pairs of photos whose hashes, as they are or one mirrored, differ in ``distance`` bits at most.

    Args:
        hashes: uint64 (n,).
        mirrored: uint64 (n,), of the mirror images.
        distance: 0 to 64.

    Returns:
        int (pairs, 2), the smaller index first, in ascending order.
    """
    found = []
    for start in range(0, len(hashes), _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = np.bitwise_count(hashes[rows, None] ^ hashes[start:]) <= distance
        # both ways: a hash's distance to a mirror image's is not quite that of its mirror image's to the hash
        near |= np.bitwise_count(hashes[rows, None] ^ mirrored[start:]) <= distance
        near |= np.bitwise_count(mirrored[rows, None] ^ hashes[start:]) <= distance
        found.append(np.argwhere(np.triu(near, 1)) + start)
    return np.concatenate(found) if found else np.empty((0, 2), int)


def group_labels(count: int, pairs: np.ndarray) -> np.ndarray:
    """Number the groups of photos that ``pairs`` connect, also through others: int (count,), from 0 up."""
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1]
