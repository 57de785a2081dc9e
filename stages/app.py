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
import errno
import os
import signal
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path

from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.params import load_params
from stages.lib.serving.page_content import read_alike
from stages.lib.serving.trained_models import HELP, find_model, load_model

HOST = "127.0.0.1"
PORT = 7860  # Gradio's own choice
GRACE = 2  # seconds for answers under way when it ends; a browser keeps its connection open for ever


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.app", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help=HELP)
    parser.add_argument("--port", type=port_number, default=PORT, help=f"{PORT} if not given; 0 for any that is free")
    return parser.parse_args()


def port_number(text: str) -> int:
    """A port from the command line: 0, for any that is free, to 65535.

    Raises `argparse.ArgumentTypeError` for any other text, which argparse tells with exit code 2.
    """
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535. Received: {text}")
    return int(text)


def listen(port: int) -> socket.socket:
    """Take a port of this machine alone, 0 for any that is free; connections wait until they are served.

    Raises `UserError` where the port is in use, or this user may not take it.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or it would be taken for a minute after
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"Port {port} is in use, perhaps by this page already: end that, or choose another with --port."
            ) from None
        raise UserError(f"Port {port} can't be used ({error.strerror}): choose another with --port.") from None
    return listener


def set_environment(uploads: Path) -> None:
    """Tell Gradio what it reads from the environment when it is imported, and nothing else."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {"GRADIO_TEMP_DIR": str(uploads), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}


def end_as_ctrl_c() -> None:
    """Have what else ends a process end it as Ctrl-C does, so that the photos are removed."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)


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
        from stages.lib.serving.page import make_page, serve  # Gradio reads the environment when it is imported

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
