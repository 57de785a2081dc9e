"""Who may ask the page for what: a browser of this machine, for what the page itself needs.

A server on 127.0.0.1 is within reach of every page that is open in the browser: a page elsewhere can send it requests,
and with a name of its own that leads to 127.0.0.1 (DNS rebinding) read the answers. Gradio has a lot more to ask for
than this page needs, files of its folders among it.
"""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
API = "/gradio_api"
NEEDED = {
    "GET": {"/", "/config", "/theme.css", "/favicon.ico", f"{API}/queue/data", f"{API}/upload_progress"},
    "POST": {f"{API}/upload", f"{API}/queue/join"},
}
NEEDED_BELOW = ("/assets/", "/static/", f"{API}/heartbeat/")  # what they give is of the package
HEADERS = {
    # Gradio compiles its templates in the browser
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_needed(method: str, path: str) -> bool:
    """Whether the page makes such a request."""
    if path in NEEDED.get(method, ()):
        return True
    return method == "GET" and path.startswith(NEEDED_BELOW) and ".." not in path


class LocalAccess:
    """ASGI middleware: refuses other hosts, other origins and what the page does not need.

    A wrong host is a 400, another origin a 403, all else a 404. All that is served says that the browser is to load
    nothing from outside for it, and to show it in no other page. What a page needs and what its headers are is Gradio's
    if nothing else is said.
    """

    def __init__(
        self,
        app: ASGIApp,
        is_needed: Callable[[str, str], bool] = is_needed,
        headers: Mapping[str, str] = HEADERS,
    ):
        self._is_needed, self._headers = is_needed, headers
        self._app = TrustedHostMiddleware(self._guard, allowed_hosts=HOSTS, www_redirect=False)
        self._served = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse a request."""
        await self._app(scope, receive, send)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and origin != f"http://{headers['host']}":
                return await PlainTextResponse("This page is of this machine alone.", 403)(scope, receive, send)
            if not self._is_needed(scope["method"], scope["path"]):
                return await PlainTextResponse("Not here.", 404)(scope, receive, send)
        elif scope["type"] != "lifespan":
            return None  # a websocket, which the page has none of; the server closes it

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        return await self._served(scope, receive, send_with_headers)
