"""Would it notice a breed that it does not know? Leave each breed out in turn, and ask about its photos.

Reads   data/features/<backbone>/plain; test stays closed
Makes   plots/leave_breeds_out/<backbone>.csv: of each breed, what share of its photos would be turned away, and for
        which breed they would pass; metrics/leave_breeds_out/<backbone>.json: the mean over the breeds
Alone   python -m stages.leave_breeds_out VGG16, or another of `backbones`
Cost    2 s for 221 photos of 5 breeds, 8 s more for 3,441 of 115, without TensorFlow
"""

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.lib.core.outputs import write_json
from stages.lib.core.params import load_params
from stages.lib.core.tables import write_csv
from stages.lib.datasets.features import read_photos
from stages.lib.familiarity.leave_out import Photos, leave_breeds_out, summarise


def main() -> None:
    """Run the stage."""
    params = load_params()
    (backbone,) = parse_choices(__doc__, backbone=params.backbones)
    turned_away, level = params.evaluate.turned_away, params.evaluate.confidence_level
    read = (read_photos(backbone, "plain", split) for split in ("train", "val"))
    train, val = (Photos(each.features, each.breeds, each.groups) for each in read)
    table = leave_breeds_out(train, val, turned_away, level, params.seed)
    summary = {"breeds": len(table), **summarise(table, level, params.seed)}
    table.insert(0, "model", backbone)
    write_csv(table, paths.LEFT_OUT_TABLES / f"{backbone}.csv")
    write_json(paths.LEFT_OUT / f"{backbone}.json", summary)
    share = summary["turned_away"]
    told = "too few photos to tell" if share is None else f"of a breed left out, {share:.1%} of the photos are noticed"
    print(f"leave_breeds_out with {backbone}: {told}")


if __name__ == "__main__":
    run(main)
