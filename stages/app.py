"""A page on which to drop photos and see each one's breeds, for people without a terminal.

It is served to the browsers of this machine alone. It shows the breeds with their probabilities, "none of these breeds"
and "not sure" as `stages.predict` does, where the network looked (Grad-CAM; of Keras models), which training photos one
that is none of the breeds is most like (of models on a backbone, where data/features, data/prepared and data/augmented
are there), and what the model was trained on and scored. Photos are copied to a private folder, and each copy is
deleted within ten minutes; the folder goes when the page ends.

Reads   the model as `stages.predict` does; metrics/evaluate.json, metrics/prepare.json and dvc.lock for what is known
        of it
Run     python -m stages.app [--model MODEL] [--port PORT]
        in an environment of its own, as Gradio needs an older Pillow: pip install -r requirements/app.txt

Exit code 0 where Ctrl-C ends it, 1 where it can't start, 2 for options that do not exist.
"""

import argparse
import contextlib
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.params import load_params
from stages.lib.serving.listening import GRACE, HOST, PORT, end_as_ctrl_c, listen, port_number
from stages.lib.serving.page_content import read_alike
from stages.lib.serving.trained_models import HELP, find_model, load_model


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.app", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help=HELP)
    parser.add_argument("--port", type=port_number, default=PORT, help=f"{PORT} if not given; 0 for any that is free")
    return parser.parse_args()


def set_environment(uploads: Path) -> None:
    """Tell Gradio what it reads from the environment when it is imported, and nothing else."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {"GRADIO_TEMP_DIR": str(uploads), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}


def main() -> int:
    """Run the command."""
    arguments = parse_arguments()
    if find_spec("gradio") is None:
        raise UserError('Gradio is not installed here: docs/serving.md, "A page to try it on", tells how.')
    params = load_params()
    evaluation = read_evaluation()
    path = find_model(arguments.model, evaluation, params.models)
    with listen(arguments.port) as listener, tempfile.TemporaryDirectory(prefix="dog-breeds-") as uploads:
        end_as_ctrl_c()
        set_environment(Path(uploads))
        from stages.lib.serving.page import make_page  # Gradio reads the environment when it is imported
        from stages.lib.serving.server import serve

        trained = load_model(path, evaluation, params.evaluate.turned_away)
        alike = read_alike(trained, params.families)
        page = make_page(trained, alike, path, evaluation, params.data.max_pixels, Path(uploads))
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        # not raised where a shell has it ignored, as for its jobs in the background
        with contextlib.suppress(KeyboardInterrupt):
            serve(page, listener, GRACE, lambda: print(f"Open {address} in a browser; Ctrl-C ends it.", flush=True))
        print("ended")
    return 0


if __name__ == "__main__":
    run(main)
