"""A prepared picture at the size of a network."""

import numpy as np
import pytest
from PIL import Image

from stages.lib.core.shrinking import shrink
from stages.lib.images.photos import to_square


@pytest.mark.parametrize("side", [1, 31, 63])
def test_a_picture_is_shrunk_as_photos_are(draw_photo, side):
    picture = draw_photo(1, (64, 64))
    assert np.array_equal(shrink(picture, side), to_square(picture, side, "squash"))


def test_a_picture_that_has_the_size_stays_as_it_is(draw_photo):
    picture = draw_photo(1, (64, 64))
    assert shrink(picture, 64) is picture


def test_a_picture_is_never_made_larger():
    with pytest.raises(ValueError, match=r"can only be shrunk\. Received: 64 pixels a side, to become 65"):
        shrink(Image.new("RGB", (64, 64)), 65)
