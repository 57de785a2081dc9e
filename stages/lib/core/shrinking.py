"""A prepared picture at the size of a network, which may be smaller: the same for training and for answers."""

from PIL import Image


def shrink(image: Image.Image, side: int) -> Image.Image:
    """A square RGB picture at ``side`` pixels a side; ``image`` itself where it has that size already.

    Raises `ValueError` where ``side`` is more than the picture has: nothing is made up.
    """
    if image.width == side:
        return image
    if image.width < side:
        raise ValueError(f"a picture can only be shrunk. Received: {image.width} pixels a side, to become {side}")
    return image.resize((side, side), Image.Resampling.LANCZOS)
