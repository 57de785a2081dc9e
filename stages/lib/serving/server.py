"""Serving a page until Ctrl-C."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """A server that tells when it is ready."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]):
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()


def serve(page: ASGIApp, listener: socket.socket, grace: int, when_ready: Callable[[], None]) -> None:
    """Serve ``page`` on ``listener`` until Ctrl-C, which is raised again; answers under way have ``grace`` seconds."""
    config = uvicorn.Config(page, log_level="warning", server_header=False, timeout_graceful_shutdown=grace)
    _Server(config, when_ready).run(sockets=[listener])
