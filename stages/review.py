"""A page on which a person looks at photos whose label is doubtful, one at a time, and decides by a key.

It shows photos that stand in two breeds, near duplicates in two breeds, and the labels that the stage label_errors
suspects, the most doubtful first, with the photos most like each; --errors also the errors on val of the best model.
Each decision stands in data/label_fixes.csv before the next photo is shown, several windows do not lose each other's,
and no photo is touched: `prepare` applies them. It is served to the browsers of this machine alone.

Test photos are not among them. --test shows these alone, in random order and without any model's opinion: were only
those mended that a model gets wrong, its score on test would rise by that alone.

--into FOLDER shows what `stages.label_next` chose of unlabelled photos; one that gets a breed is copied into that
breed's folder in FOLDER.

Reads   data/prepared/{manifest,refused}.csv, plots/suspicious_labels.csv, data/features of `main_backbone`, the photos;
        with --errors data/predictions and metrics/evaluate.json; with --into label_next/photos.csv
Makes   data/label_fixes.csv; with --into label_next/decisions.csv and copies in FOLDER
Run     python -m stages.review [--errors | --test | --into FOLDER] [--port PORT]
        where requirements/app.txt is installed

Exit code 0 where Ctrl-C ends it or nothing is doubtful, 1 where it can't start, 2 for options that do not exist.
"""

import argparse
import contextlib
from importlib.util import find_spec
from pathlib import Path

from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.params import load_params
from stages.lib.serving.doubts import DECIDED, list_blind, list_doubts, list_unlabelled
from stages.lib.serving.listening import GRACE, HOST, PORT, end_as_ctrl_c, listen, port_number


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.review", description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--errors", action="store_true", help="also what the best model gets wrong of val")
    which.add_argument(
        "--test",
        action="store_true",
        help="test photos alone, in random order and without any model's opinion, so that none is mended for its score",
    )
    which.add_argument(
        "--into", type=Path, metavar="FOLDER", help="unlabelled photos, copied into the folders of their breeds there"
    )
    parser.add_argument("--port", type=port_number, default=PORT, help=f"{PORT} if not given; 0 for any that is free")
    return parser.parse_args()


def main() -> int:
    """Run the command."""
    arguments = parse_arguments()
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UserError('Starlette and uvicorn are not installed here: docs/labels.md, "A page", tells how.')
    from stages.lib.serving.decisions import Decisions, Filing
    from stages.lib.serving.review_page import Review, make_review_page
    from stages.lib.serving.server import serve

    params = load_params()
    source = Path(params.data.source)
    decisions = Decisions(paths.LABEL_FIXES)
    if arguments.into:
        if not any(folder.is_dir() for folder in arguments.into.glob("*")):
            raise UserError(f"{arguments.into} must be a folder with one sub-folder a breed.")
        if arguments.into.resolve().is_relative_to(Path("data").resolve()):
            raise UserError(f"{arguments.into} is made by a stage, which would take away what is put there.")
        source, decisions, found = arguments.into, Filing(DECIDED, arguments.into), list_unlabelled()
    else:
        found = list_blind() if arguments.test else list_doubts(params, arguments.errors)
    decided = decisions.read()
    doubts = [doubt for doubt in found if doubt.sha256 not in decided]
    if not doubts:
        print("review: no label is left to look at")
        return 0
    review = Review(doubts, decisions, source, params.data.max_pixels)
    with listen(arguments.port) as listener:
        end_as_ctrl_c()
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        # not raised where a shell has it ignored, as for its jobs in the background
        with contextlib.suppress(KeyboardInterrupt):
            serve(
                make_review_page(review),
                listener,
                GRACE,
                lambda: print(f"{len(doubts)} photos: open {address} in a browser; Ctrl-C ends it.", flush=True),
            )
        print("ended")
    return 0


if __name__ == "__main__":
    run(main)
