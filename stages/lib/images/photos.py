"""Reading photos: any common format in, an upright RGB picture out, or a reason why not."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from stages.lib.core.errors import EXHAUSTED
from stages.lib.core.parallel import WORKERS

# A closed list: Pillow would otherwise try every plugin it has, among them one that starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
pillow_heif.register_heif_opener()  # what phones make
BYTES_A_PIXEL = 10  # of memory while a photo is read, measured with 100 megapixels; 16 for WebP
CLUTTER = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}  # what file managers leave behind
WHITE = (255, 255, 255)
BAND = 256  # pixels
PNG_LEVEL = 1  # of zlib: photographs are as large with its default, 6, which takes four times as long
Image.MAX_IMAGE_PIXELS = None  # `max_pixels` decides, not Pillow's own limit, which no parameter could raise
warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a photo, `Refused` says
PADDING = (124, 116, 104)  # the mean colour of ImageNet: what a network takes for nothing


class Refused(Exception):  # noqa: N818, nothing went wrong: it is an answer
    """A file that is not taken for a photo; ``reason`` is one of a few fixed words, to count by."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail


def _bands(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    """Cut a picture into bands, with the box of each: what is worked out of it on the way shall not double it."""
    for top in range(0, image.height, BAND):
        box = (0, top, image.width, min(top + BAND, image.height))
        yield box, image.crop(box)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Take any of Pillow's modes to RGB: 16 bits scaled to 8, transparency laid on white."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    deep = image.mode.startswith("I") or image.mode == "F"
    scale = 1.0
    if deep and max(np.asarray(band).max(initial=0) for _, band in _bands(image)) > 255:
        scale = 255 / 65535
    photo = Image.new("RGB", image.size)
    for box, band in _bands(image):
        if deep:
            values = np.nan_to_num(np.asarray(band, dtype=np.float64))
            band = Image.fromarray(np.clip(values * scale, 0, 255).round().astype(np.uint8))
        if band.has_transparency_data:
            band = band.convert("RGBA")
            band = Image.alpha_composite(Image.new("RGBA", band.size, WHITE), band)
        photo.paste(band.convert("RGB"), box)
    return photo


def _refusal(error: Exception) -> Refused:
    """What an exception of the system's or of Pillow's says about a file."""
    if isinstance(error, UnidentifiedImageError):
        return Refused("not a picture")
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        raise error
    if isinstance(error, OSError) and error.strerror:  # the system's; Pillow's own have no number and no strerror
        return Refused("unreadable", error.strerror)
    return Refused("cut short" if "truncated" in str(error).lower() else "damaged", str(error))


def read_photo(path: Path, max_pixels: int) -> Image.Image:
    """Read a photo as an upright RGB picture without metadata; of an animation, the first frame.

    Raises `Refused` with the reason "empty", "not a picture", "too many pixels", "cut short", "damaged" or
    "unreadable"; `MemoryError` and the `OSError` of a system that has run out of something, which say nothing of the
    photo.
    """
    pixels = 0
    try:
        if path.stat().st_size == 0:
            raise Refused("empty")
        with Image.open(path, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise Refused("too many pixels", f"{image.width}x{image.height}")
            # which loads it; in place, as a copy would take as much again
            ImageOps.exif_transpose(image, in_place=True)
            photo = _to_rgb(image)
    except Refused:
        raise
    except MemoryError:
        raise MemoryError(
            f"{path} takes about {pixels * BYTES_A_PIXEL / 1e6:,.0f} MB to read, and up to {WORKERS} photos are read "
            "at once"
        ) from None
    except Exception as error:  # Pillow's decoders let through whatever they stumble over
        raise _refusal(error) from None
    photo.info.clear()  # a colour profile would be saved again with each resized picture
    return photo


def to_square(image: Image.Image, side: int, resize: str) -> Image.Image:
    """Resize an RGB picture to ``side`` x ``side`` pixels.

    ``resize`` is "crop" (the largest centred square), "pad" (all of it, on the mean colour of ImageNet) or "squash"
    (all of it, out of shape).

    Raises `ValueError` for another ``resize``, and where Pillow below 13 is to pad a picture so thin that less than a
    pixel of its shorter side would be left.
    """
    size = (side, side)
    if resize == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if resize == "pad":
        return ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=PADDING)
    if resize == "squash":
        return image.resize(size, Image.Resampling.LANCZOS)
    raise ValueError(f"resize must be crop, pad or squash. Received: {resize!r}")


def write_square(image: Image.Image, side: int, resize: str, path: Path) -> Image.Image:
    """Write what `to_square` makes of ``image`` to ``path``, a .png file, and return it."""
    square = to_square(image, side, resize)
    path.parent.mkdir(parents=True, exist_ok=True)
    square.save(path, compress_level=PNG_LEVEL)
    return square


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is hidden or some file manager's, and no photo."""
    return name.startswith(".") or name.lower() in CLUTTER
