import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from stages.lib.core.shrinking import shrink
from stages.lib.datasets.pictures import decode_pictures, find_pictures, picture_batches, read_picture
from stages.lib.images.photos import FORMATS, Refused, read_photo, to_square

MANY = 10**6  # pixels
SIZE = (48, 32)
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 60, 190), (210, 200, 60)]  # top left, top right, bottom left and right
GREYS = [20, 90, 160, 230]
ORIENTATION = 0x0112


def quarters(colours, size=SIZE):
    """An RGB picture with a colour in each quarter."""
    picture = Image.new("RGB", size)
    across, down = size[0] // 2, size[1] // 2
    for place, colour in enumerate(colours):
        left, top = place % 2 * across, place // 2 * down
        picture.paste(colour, (left, top, left + across, top + down))
    return picture


def colours_of(image):
    """The colours in the middle of the four quarters."""
    across, down = image.width // 4, image.height // 4
    return [image.getpixel((x, y)) for y in (down, 3 * down) for x in (across, 3 * across)]


def assert_shows(image, colours, size=SIZE, tolerance=6):
    assert (image.mode, image.size) == ("RGB", size)
    assert np.abs(np.subtract(colours_of(image), colours)).max() <= tolerance


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colour_type, data):
    """The bytes of a PNG, also of a kind that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "photo"


COLOURED = quarters(COLOURS)
PALETTE = COLOURED.quantize(8)
SEVERAL = {"save_all": True, "append_images": [Image.new("RGB", SIZE)]}
SAVED = {
    "jpeg": (COLOURED, {"format": "JPEG"}),
    "progressive_jpeg": (COLOURED, {"format": "JPEG", "progressive": True}),
    "cmyk_jpeg": (COLOURED.convert("CMYK"), {"format": "JPEG"}),
    "jpeg_of_several_pictures": (COLOURED, {"format": "MPO", **SEVERAL}),
    "png": (COLOURED, {"format": "PNG"}),
    "palette_png": (PALETTE, {"format": "PNG"}),
    "gif": (COLOURED, {"format": "GIF"}),
    "animated_gif": (COLOURED, {"format": "GIF", **SEVERAL}),
    "webp": (COLOURED, {"format": "WEBP"}),
    "animated_webp": (COLOURED, {"format": "WEBP", "lossless": True, **SEVERAL}),
    "animated_png": (COLOURED, {"format": "PNG", **SEVERAL}),
    "bmp": (COLOURED, {"format": "BMP"}),
    "tiff": (COLOURED, {"format": "TIFF"}),
    "compressed_tiff": (COLOURED, {"format": "TIFF", "compression": "tiff_lzw"}),
    "avif": (COLOURED, {"format": "AVIF", "quality": 95}),
    "heic": (COLOURED, {"format": "HEIF", "quality": 95}),
}


@pytest.mark.parametrize("kind", SAVED)
def test_colours_come_out_as_they_went_in(path, kind):
    image, options = SAVED[kind]
    image.save(path, **options)
    assert_shows(read_photo(path, MANY), COLOURS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_grey_comes_out_grey(path, kind):
    quarters([(grey,) * 3 for grey in GREYS]).convert("L").save(path, kind)
    assert_shows(read_photo(path, MANY), [(grey,) * 3 for grey in GREYS])


def test_one_bit_comes_out_black_and_white(path):
    colours = [(0, 0, 0), (255, 255, 255), (255, 255, 255), (0, 0, 0)]
    quarters(colours).convert("1").save(path, "PNG")
    assert_shows(read_photo(path, MANY), colours, tolerance=0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_scaled_not_clipped(path, kind):
    deep = [300, 20_000, 40_000, 65_535]
    values = np.empty(SIZE[::-1], np.uint16)
    values[:16, :24], values[:16, 24:], values[16:, :24], values[16:, 24:] = deep
    Image.fromarray(values).save(path, kind)
    assert_shows(read_photo(path, MANY), [(round(value / 257),) * 3 for value in deep], tolerance=0)


def test_sixteen_bits_of_colour_are_scaled_not_clipped(path):
    pixels = (np.asarray(COLOURED).astype(np.uint16) * 257).astype(">u2")
    path.write_bytes(png(*SIZE, 16, 2, b"".join(b"\0" + row.tobytes() for row in pixels)))
    assert_shows(read_photo(path, MANY), COLOURS, tolerance=1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_shows_white(path, kind):
    image = COLOURED.convert("RGBA")
    alpha = quarters([(255,) * 3, (128,) * 3, (0,) * 3, (255,) * 3]).convert("L")
    image.putalpha(alpha)
    image.save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    half = tuple(round((colour * 128 + 255 * 127) / 255) for colour in COLOURS[1])
    assert_shows(read_photo(path, MANY), [COLOURS[0], half, (255, 255, 255), COLOURS[3]], tolerance=1)


def test_what_is_transparent_of_grey_shows_white(path):
    image = Image.new("LA", SIZE, (40, 0))
    image.paste((40, 255), (0, 0, 24, 16))
    image.save(path, "PNG")
    assert_shows(read_photo(path, MANY), [(40,) * 3, *[(255,) * 3] * 3], tolerance=0)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_shows_white(path, kind):
    PALETTE.save(path, kind, transparency=PALETTE.getpixel((40, 4)))
    assert_shows(read_photo(path, MANY), [COLOURS[0], (255, 255, 255), *COLOURS[2:]])


# where the stored picture must have each colour for the photo to be upright, and whether it lies on its side
ORIENTATIONS = {
    1: ([0, 1, 2, 3], False), 2: ([1, 0, 3, 2], False), 3: ([3, 2, 1, 0], False), 4: ([2, 3, 0, 1], False),
    5: ([0, 2, 1, 3], True), 6: ([1, 3, 0, 2], True), 7: ([3, 1, 2, 0], True), 8: ([2, 0, 3, 1], True),
}  # fmt: skip


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_taken_sideways_comes_out_upright(path, kind, orientation):
    order, sideways = ORIENTATIONS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    quarters([COLOURS[place] for place in order], SIZE[::-1] if sideways else SIZE).save(path, kind, exif=exif)
    assert_shows(read_photo(path, MANY), COLOURS)


def test_damaged_exif_does_not_cost_the_photo(path):
    COLOURED.save(path, "JPEG", exif=b"Exif\0\0" + b"garbage!" * 8)
    assert_shows(read_photo(path, MANY), COLOURS)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.txt", "photo.eps", "photo"])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP"])
def test_the_content_decides_not_the_extension(tmp_path, name, kind):
    COLOURED.save(tmp_path / name, kind)
    assert_shows(read_photo(tmp_path / name, MANY), COLOURS)


def test_neither_colour_profile_nor_place_goes_into_a_resized_picture(path, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    COLOURED.save(path, "JPEG", icc_profile=b"profile" * 999, exif=exif, comment=b"home")
    to_square(read_photo(path, MANY), 32, "crop").save(tmp_path / "resized.png")
    with Image.open(tmp_path / "resized.png") as resized:
        assert resized.info == {}


def test_every_format_is_read_first_in_a_process_of_its_own(tmp_path, root):
    # Pillow loads its plugins when it first needs them, by the file's extension
    processes = []
    for kind in FORMATS:
        COLOURED.save(tmp_path / f"{kind}.jpg", kind)
        command = (
            "import sys; from pathlib import Path; from stages.lib.images.photos import read_photo\n"
            "print(read_photo(Path(sys.argv[1]), 10**6).size)"
        )
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", command, str(tmp_path / f"{kind}.jpg")],
                cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            )
        )  # fmt: skip
    printed = [process.communicate()[0] for process in processes]
    assert dict(zip(FORMATS, printed, strict=True)) == dict.fromkeys(FORMATS, "(48, 32)\n")


def refusal(path, max_pixels=MANY):
    with pytest.raises(Refused) as refused:
        read_photo(path, max_pixels)
    return refused.value.reason, refused.value.detail


def test_an_empty_file_is_refused(path):
    path.touch()
    assert refusal(path) == ("empty", "")


@pytest.mark.parametrize(
    "content", [b"a text\n" * 99, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF"]
)
def test_what_is_no_picture_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path) == ("not a picture", "")


def test_an_archive_named_jpg_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "photo.jpg", "w") as archive:
        archive.writestr("photo.jpg", b"jpeg" * 99)
    assert refusal(tmp_path / "photo.jpg") == ("not a picture", "")


@pytest.mark.parametrize("kept", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_a_file_cut_short_is_refused(path, draw_photo, kind, kept):
    draw_photo(1, (240, 180)).save(path, kind)  # large, so that the cut is behind the header
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    reason, detail = refusal(path)
    assert reason == "cut short"
    assert "truncated" in detail.lower()


def test_a_file_cut_short_within_its_header_is_refused_as_such(path, draw_photo):
    draw_photo(1).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:100])
    assert refusal(path) == ("cut short", "Truncated File Read")


@pytest.mark.filterwarnings("ignore")  # pytest undoes what stages.lib.images.photos sets
@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_is_wrong_within_a_file_it_is_read_or_refused(path, kind, draw_photo):
    draw_photo(1, SIZE).save(path, kind)
    content = path.read_bytes()
    generator = np.random.default_rng(1)
    reasons = set()
    for _ in range(120):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = (generator.random(3) ** 3 * len(content)).astype(int)  # most of them in the header
        damaged[places] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            assert read_photo(path, MANY).mode == "RGB"
        except Refused as refused:
            reasons.add(refused.reason)
    assert "not a picture" in reasons
    assert reasons <= {"not a picture", "too many pixels", "cut short", "damaged"}


def test_a_photo_of_more_pixels_than_allowed_is_refused(path):
    COLOURED.save(path, "PNG")
    assert refusal(path, max_pixels=48 * 32 - 1) == ("too many pixels", "48x32")
    assert read_photo(path, max_pixels=48 * 32).size == SIZE


@pytest.mark.parametrize("side", [2000, 60_000])
def test_too_many_pixels_are_refused_before_they_are_decoded(path, side):
    path.write_bytes(png(side, side, 8, 2, b""))  # to decode it would find that it is cut short
    assert refusal(path) == ("too many pixels", f"{side}x{side}")


def test_max_pixels_can_be_raised_beyond_pillows_own_limit(path):
    side = 14_000
    path.write_bytes(png(side, side, 1, 0, b""))
    assert refusal(path, max_pixels=side**2 - 1)[0] == "too many pixels"
    assert refusal(path, max_pixels=side**2)[0] == "cut short"


def test_what_can_not_be_opened_is_refused_with_the_systems_reason(path, monkeypatch):
    assert refusal(path) == ("unreadable", "No such file or directory")
    path.symlink_to("nowhere")
    assert refusal(path) == ("unreadable", "No such file or directory")
    assert refusal(path.parent) == ("unreadable", "Is a directory")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    path.unlink()
    COLOURED.save(path, "PNG")
    monkeypatch.setattr(Path, "stat", denied)
    assert refusal(path) == ("unreadable", "Permission denied")


MEAN = (124, 116, 104)  # of ImageNet
LEFT, MIDDLE, RIGHT = (200, 40, 40), (40, 180, 60), (50, 60, 190)


def three_stripes(portrait):
    """Three stripes side by side, the middle one as wide as the picture is high; below each other in a portrait."""
    picture = Image.new("RGB", (160, 80), MIDDLE)
    picture.paste(LEFT, (0, 0, 40, 80))
    picture.paste(RIGHT, (120, 0, 160, 80))
    return picture.transpose(Image.Transpose.TRANSPOSE) if portrait else picture


def middle_line(image, portrait):
    """The colours across the stripes, in the middle of the picture."""
    pixels = np.asarray(image).astype(int)
    return pixels[:, image.width // 2] if portrait else pixels[image.height // 2]


@pytest.mark.parametrize("portrait", [False, True])
@pytest.mark.parametrize(
    ("resize", "edge", "quarter"),
    [("crop", MIDDLE, MIDDLE), ("pad", LEFT, MIDDLE), ("squash", LEFT, MIDDLE)],
)
def test_a_square_shows_what_its_way_to_resize_says(portrait, resize, edge, quarter):
    square = to_square(three_stripes(portrait), 64, resize)
    assert square.size == (64, 64)
    line = middle_line(square, portrait)
    assert np.abs(line[3] - edge).max() <= 3
    assert np.abs(line[24] - quarter).max() <= 3
    assert np.abs(line[60] - (RIGHT if edge == LEFT else MIDDLE)).max() <= 3


@pytest.mark.parametrize("portrait", [False, True])
def test_crop_takes_the_whole_of_the_shorter_side_from_the_centre(portrait):
    square = np.asarray(to_square(three_stripes(portrait), 64, "crop")).astype(int)
    assert np.abs(square - MIDDLE).max() <= 60  # the stripes' edges ring a little at the borders
    assert np.abs(square[2:-2, 2:-2] - MIDDLE).max() <= 3


@pytest.mark.parametrize("portrait", [False, True])
def test_pad_keeps_the_shape_and_fills_with_the_mean_colour(portrait):
    square = np.asarray(to_square(three_stripes(portrait), 64, "pad"))
    square = square if not portrait else square.transpose(1, 0, 2)
    assert (square[:16] == MEAN).all()
    assert (square[48:] == MEAN).all()
    assert np.abs(square[17:47, 20:44].astype(int) - MIDDLE).max() <= 3


@pytest.mark.parametrize("portrait", [False, True])
def test_squash_reaches_all_corners(portrait):
    square = to_square(three_stripes(portrait), 64, "squash")
    corners = [(0, 0), (0, 63), (63, 0), (63, 63)]
    expected = [LEFT, RIGHT, LEFT, RIGHT] if portrait else [LEFT, LEFT, RIGHT, RIGHT]
    assert [square.getpixel(corner) for corner in corners] == expected


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(33, 32), (32, 33), (1, 300), (300, 1), (1, 1), (7, 7), (301, 299)])
def test_the_size_is_exact_whatever_the_photos(size, resize):
    assert to_square(Image.new("RGB", size), 32, resize).size == (32, 32)


def test_an_unknown_way_to_resize_is_an_error():
    with pytest.raises(ValueError, match="crop, pad or squash"):
        to_square(COLOURED, 32, "zoom")


def test_prepared_pictures_are_found_folder_by_folder_in_the_order_of_their_names_and_decoded(tmp_path):
    photos = ["B/x.png", "A/z.png", "A/sub folder/y.png", "A/a.png"]
    names = [*(f"photos/{name}" for name in photos), "views/A/z.0.jpg", "views/A/a.0.jpg"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number,) * 3).save(tmp_path / name)
    (tmp_path / "photos/A/notes.txt").touch()
    (tmp_path / "photos/A/folder.png").mkdir()
    files, breeds = find_pictures(tmp_path / "photos", tmp_path / "views")
    expected = [*sorted(names[:4]), *sorted(names[4:])]
    assert [file.relative_to(tmp_path).as_posix() for file in files] == expected
    assert breeds == ["A", "A", "A", "B", "A", "A"]
    decode_pictures(files, tmp_path / "pictures.npy", 8)
    pictures = np.load(tmp_path / "pictures.npy")
    assert (pictures.shape, pictures.dtype) == ((6, 8, 8, 3), np.uint8)
    assert pictures[:, 0, 0, 0].tolist() == [40 * names.index(name) for name in expected]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, draw_photo):
    """Pictures of 40 pixels a side, as prepare and augment write them."""
    folder = tmp_path_factory.mktemp("prepared")
    files = [folder / f"{number}.{'jpg' if number % 3 else 'png'}" for number in range(11)]
    for number, file in enumerate(files):
        draw_photo(number, (40, 40)).save(file)
    return files


@pytest.mark.parametrize("side", [40, 16])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 50])
def test_batches_hold_each_picture_once_in_order_as_it_is_read_alone(prepared, batch_size, side):
    batches = list(picture_batches(prepared, batch_size, side))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    found = np.concatenate(batches)
    assert (found.shape, found.dtype) == ((11, side, side, 3), np.uint8)
    np.testing.assert_array_equal(found, np.stack([read_picture(file, side) for file in prepared]))


def test_a_picture_is_read_at_its_own_size_or_shrunk(prepared):
    with Image.open(prepared[0]) as image:
        assert np.array_equal(read_picture(prepared[0]), np.asarray(image))
        assert np.array_equal(read_picture(prepared[0], 16), np.asarray(shrink(image, 16)))
    with pytest.raises(ValueError, match=r"can only be shrunk\. Received: 40 pixels a side, to become 41"):
        read_picture(prepared[0], 41)


def test_of_no_pictures_there_is_no_batch():
    assert list(picture_batches([], 4, 16)) == []


def test_what_is_wrong_with_a_picture_comes_through(prepared):
    with pytest.raises(FileNotFoundError):
        list(picture_batches([*prepared, prepared[0].with_name("gone.png")], 4, 16))


def test_more_pictures_than_are_decoded_at_once_all_arrive_in_order_at_a_networks_size(tmp_path):
    files = [tmp_path / f"{number:03}.png" for number in range(600)]
    for number, file in enumerate(files):
        Image.new("RGB", (4, 4), (*divmod(number, 256), 0)).save(file)
    decode_pictures(files, tmp_path / "pictures.npy", 2)
    pictures = np.load(tmp_path / "pictures.npy").astype(int)
    assert pictures.shape == (600, 2, 2, 3)
    assert (pictures[:, 0, 0, 0] * 256 + pictures[:, 0, 0, 1]).tolist() == list(range(600))


def test_this_pillow_reads_all_formats():
    assert all(features.check(name) for name in ("jpg", "zlib", "webp", "libtiff", "avif"))
