"""Pictures inside a page: as data URIs, small and compressed, and with heat laid over them."""

import base64
import io
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image

THUMBNAIL, SMALL = 192, 96  # pixels a side, at most; of three in the place of one
QUALITY = 80  # of JPEG
OPACITY = 0.5  # of the heat over the photo


def embed_chart(path: Path) -> str:
    """A PNG file as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def embed_photo(photo: Path | Image.Image, side: int = THUMBNAIL) -> str:
    """A picture, ``side`` pixels a side at most and compressed, as a data URI."""
    image = photo if isinstance(photo, Image.Image) else Image.open(photo)
    small = image.convert("RGB")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def overlay(picture: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Lay heat (height, width) in [0, 1] over a picture (side, side, 3): dark where nothing, yellow where most."""
    photo = Image.fromarray(picture)
    enlarged = Image.fromarray(heat.astype(np.float32)).resize(photo.size, Image.Resampling.BILINEAR)
    # viridis: its brightness rises all the way, so that colour-blind people and a printer in grey can tell
    colours = colormaps["viridis"](np.clip(np.asarray(enlarged), 0, 1))[..., :3]
    return Image.blend(photo, Image.fromarray((255 * colours).astype(np.uint8)), OPACITY)
