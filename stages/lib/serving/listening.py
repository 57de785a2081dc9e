"""A port of this machine alone, and the end of what is served there; without what serves it."""

import argparse
import errno
import signal
import socket

from stages.lib.core.errors import UserError

HOST = "127.0.0.1"
PORT = 7860  # Gradio's own choice
GRACE = 2  # seconds for answers under way when it ends; a browser keeps its connection open for ever


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


def end_as_ctrl_c() -> None:
    """Have what else ends a process end it as Ctrl-C does, so that the photos are removed."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
