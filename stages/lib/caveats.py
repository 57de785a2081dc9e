"""What a reader has to know before believing the numbers."""

import re
from pathlib import Path

from stages.lib import paths

SYNSET = re.compile(r"n\d{8}_\d+")  # how ImageNet names its photos
BUNDLED = "VGG16-bundled.weights.h5"
FROM_IMAGENET = re.compile(r".+-(bundled|imagenet)\.weights\.h5")  # how the stages of data/dvc.yaml name theirs
FEW_PHOTOS = 20
NAMED = 10  # breeds in a sentence


def _is(source: str, folder: Path) -> bool:
    return Path(source).resolve() == folder.resolve()


def is_drawn(source: str) -> bool:
    """Whether the pictures are the drawn ones that come with the pipeline."""
    return _is(source, paths.SAMPLE)


def is_from_imagenet(source: str, photos: list[str]) -> bool:
    """Whether the photos are ImageNet's: those of Stanford Dogs are, and those that are named as ImageNet does."""
    return _is(source, paths.STANFORD_DOGS) or any(SYNSET.search(photo) for photo in photos)


def find_caveats(photos: list[str], support: dict[str, int], source: str, weights: str) -> list[str]:
    """Sentences about this test.

    Args:
        photos: the names of the test photos.
        support: how many of them each breed has, 0 included.
        source: `data.source`.
        weights: `backbone.weights`.
    """
    caveats = []
    if is_drawn(source):
        caveats.append(
            "These are drawn pictures, not photographs: the numbers show that the pipeline works, and nothing of how "
            "well it would tell real dogs apart."
        )
    if is_from_imagenet(source, photos):
        known = bool(FROM_IMAGENET.fullmatch(Path(weights).name))
        start = "and so are the backbone's weights: it" if known else "and if the backbone's weights are too, it"
        caveats.append(
            f"These photos are ImageNet's, {start} has most likely seen the test photos. Expect less of transfer and "
            "finetune on photos of your own; scratch is not concerned."
        )
    if Path(weights).name == BUNDLED:
        caveats.append(
            "The backbone's weights are the bundled ones: ImageNet's, then fine-tuned on MRI scans. ImageNet's own are "
            "one parameter away (backbone.weights)."
        )
    few = {breed: count for breed, count in support.items() if count < FEW_PHOTOS}
    if few:
        caveats.append(
            f"Fewer than {FEW_PHOTOS} test photos, so that a breed's own numbers mean little: {fewest_in_words(few)}."
        )
    return caveats


def fewest_in_words(few: dict[str, int]) -> str:
    """List breeds with their photos; of many, `NAMED` of those that have the fewest."""
    named = list(few) if len(few) <= NAMED else sorted(few, key=few.get)[:NAMED]
    more = f" and {len(few) - len(named)} more" if len(named) < len(few) else ""
    return ", ".join(f"{breed} ({few[breed]})" for breed in named) + more


def describe_test(photos: int, source: str, names: list[str]) -> str:
    """What was tested on, in the words that stand in titles: "79 drawn test pictures", "228 test photos"."""
    if is_drawn(source):
        return f"{photos} drawn test pictures"
    return f"{photos} ImageNet test photos" if is_from_imagenet(source, names) else f"{photos} test photos"
