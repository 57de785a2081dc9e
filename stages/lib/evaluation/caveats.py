"""What a reader has to know before believing the numbers."""

import re
from collections.abc import Mapping
from pathlib import Path

from stages.lib.core import paths
from stages.lib.core.prose import render_lines, templates

SYNSET = re.compile(r"n\d{8}_\d+")  # how ImageNet names its photos
BUNDLED = "VGG16-bundled.weights.h5"
FROM_IMAGENET = re.compile(r".+-(bundled|imagenet)\.weights\.h5")  # how the stages of data/dvc.yaml name theirs
FEW_PHOTOS = 20
NAMED = 10  # breeds in a sentence
CAVEATS = templates(Path(__file__).parent / "templates", autoescape=False).get_template("caveats.jinja")


def is_folder(source: str, folder: Path) -> bool:
    """Whether ``source``, as params.yaml has it, is ``folder``."""
    return Path(source).resolve() == folder.resolve()


def is_drawn(source: str) -> bool:
    """Whether the pictures are the drawn ones that come with the pipeline."""
    return is_folder(source, paths.SAMPLE)


def is_from_imagenet(source: str, photos: list[str]) -> bool:
    """Whether the photos are ImageNet's: those of Stanford Dogs are, and those that are named as ImageNet does."""
    return is_folder(source, paths.STANFORD_DOGS) or any(SYNSET.search(photo) for photo in photos)


def find_caveats(photos: list[str], support: dict[str, int], source: str, weights: Mapping[str, str]) -> list[str]:
    """Sentences about this test.

    Args:
        photos: the names of the test photos.
        support: how many of them each breed has, 0 included.
        source: `data.source`.
        weights: of each backbone, `backbones.<backbone>.weights`.
    """
    few = {breed: count for breed, count in support.items() if count < FEW_PHOTOS}
    files = {backbone: Path(path).name for backbone, path in weights.items()}
    known = [backbone for backbone, file in files.items() if FROM_IMAGENET.fullmatch(file)]
    named = list(few) if len(few) <= NAMED else sorted(few, key=few.__getitem__)[:NAMED]  # those that have the fewest
    return render_lines(
        CAVEATS,
        drawn=is_drawn(source),
        from_imagenet=is_from_imagenet(source, photos),
        known=known,
        unknown=[backbone for backbone in files if backbone not in known],
        bundled=[backbone for backbone, file in files.items() if file == BUNDLED],
        few_photos=FEW_PHOTOS,
        named={" ".join(breed.split()): few[breed] for breed in named},
        more=len(few) - len(named),
    )


def describe_test(photos: int, source: str, names: list[str]) -> str:
    """What was tested on, in the words that stand in titles: "79 drawn test pictures", "228 test photos"."""
    if is_drawn(source):
        return f"{photos} drawn test pictures"
    return f"{photos} ImageNet test photos" if is_from_imagenet(source, names) else f"{photos} test photos"
