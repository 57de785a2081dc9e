"""The page of `stages.review`: a photo at a time, and a decision about its label, saved before the next is shown."""

import secrets
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from stages.lib.core.errors import UserError
from stages.lib.core.prose import templates
from stages.lib.images.label_fixes import DROP, KEEP, MOVE, LabelFix
from stages.lib.images.photos import Refused, is_clutter, read_photo
from stages.lib.reporting.embedding import embed_photo
from stages.lib.serving.decisions import Decisions
from stages.lib.serving.doubts import Beside, Doubt
from stages.lib.serving.local_access import HEADERS, LocalAccess

FOLDER = Path(__file__).parent / "templates"
TEMPLATE = templates(FOLDER).get_template("review.html.jinja")
STATIC = {"/review.css": "text/css", "/review.js": "text/javascript"}
NEEDED = {"GET": {"/", *STATIC}, "POST": {"/decide", "/undo"}}
LARGE, SMALL = 720, 160  # pixels a side, at most, in which photos are shown
SKIP = "skip"
GUARDS = {
    **HEADERS,
    "Cache-Control": "no-store",  # or going back would show what is decided as if it were not
    "Referrer-Policy": "same-origin",  # with none, a browser would send its forms as from nowhere
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def is_needed(method: str, path: str) -> bool:
    """Whether the page makes such a request."""
    return path in NEEDED.get(method, ())


class Step(NamedTuple):
    """What was done about a photo in a window."""

    place: int  # among the photos
    made: LabelFix | None  # None where it was skipped


class Window:
    """What a browser's window has done, the last step at the end."""

    def __init__(self) -> None:
        self.place = 0
        self.steps: list[Step] = []
        self.said = ""


class Review:
    """The photos in question, and what is decided about them."""

    def __init__(self, doubts: list[Doubt], decisions: Decisions, source: Path, max_pixels: int):
        """Of ``source``, the folder with one sub-folder a breed, photos may be moved to each."""
        self._doubts, self._decisions, self._source, self._max_pixels = doubts, decisions, source, max_pixels
        self._breeds = sorted(
            {folder.name for folder in source.iterdir() if folder.is_dir() and not is_clutter(folder.name)}
        )
        self._windows: dict[str, Window] = {}

    def window(self, name: str) -> tuple[str, Window]:
        """A window by its name, or a new one."""
        if name not in self._windows:
            name = secrets.token_urlsafe(8)
            self._windows[name] = Window()
        return name, self._windows[name]

    def _picture(self, path: Path, side: int) -> str | None:
        try:
            return embed_photo(read_photo(path, self._max_pixels), side)
        except Refused:
            return None

    def _beside(self, photos: tuple[Beside, ...]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for photo in photos:
            picture = self._picture(photo.picture, SMALL)
            found.setdefault(photo.breed, []).extend([picture] if picture else [])
        return found

    def render(self, name: str, window: Window) -> str:
        """The next photo that neither this window nor another has decided about, or what came of it."""
        decided = self._decisions.read()
        while window.place < len(self._doubts) and self._doubts[window.place].sha256 in decided:
            window.place += 1
        doubt = self._doubts[window.place] if window.place < len(self._doubts) else None
        skipped = {step.place for step in window.steps if step.made is None}
        counts = {"kept": 0, "moved": 0, "dropped": 0, "skipped": 0}
        for place, each in enumerate(self._doubts):
            if each.sha256 in decided:
                action = decided[each.sha256].action
                moved = action == MOVE and decided[each.sha256].breed != each.breed
                counts["dropped" if action == DROP else "moved" if moved else "kept"] += 1
            elif place in skipped:
                counts["skipped"] += 1
        done, total = sum(counts.values()), len(self._doubts)
        return self._fill(
            name, window, doubt=doubt, counts=counts, done=done, decided=done > counts["skipped"],
            title=f"{done} of {total}: {doubt.breed}?" if doubt else "That was all",
            picture=doubt and self._picture(self._source / doubt.file, LARGE),
            beside=self._beside(doubt.beside) if doubt else {},
        )  # fmt: skip

    def render_message(self, name: str, window: Window, message: str) -> str:
        """What is wrong, in place of a photo."""
        return self._fill(name, window, doubt=None, message=message, title="Something is to be mended", done=0)

    def _fill(self, name: str, window: Window, **values: Any) -> str:
        common = {
            "window": name, "place": window.place, "last": window.said, "can_undo": bool(window.steps), "message": "",
            "total": len(self._doubts), "breeds": self._breeds, "path": self._decisions.path, "source": self._source,
            "kind": self._doubts[0].kind,  # of those with a page of their own
        }  # fmt: skip
        return TEMPLATE.render(**common | values)

    def decide(self, window: Window, place: int, action: str, breed: str) -> None:
        """Save a decision about the photo that the window shows; one about another is an old page's, and nothing."""
        if place != window.place or place >= len(self._doubts):
            return
        doubt = self._doubts[place]
        if action == KEEP and doubt.kind in ("conflict", "unlabelled"):
            # to be kept, the copy in the other folder has to follow; without a label, it is to get the guessed one
            action, breed = MOVE, doubt.breed
        if action == MOVE and breed not in self._breeds:
            window.said = "choose the breed to move it to"
            return
        if action == SKIP:
            window.steps.append(Step(place, None))
            window.said = f"{doubt.file}: skipped"
        elif action in (KEEP, MOVE, DROP):
            fix = LabelFix(doubt.sha256, doubt.file, action, breed if action == MOVE else "")
            if self._decisions.replace(doubt.sha256, fix, None):
                window.steps.append(Step(place, fix))
                window.said = f"{doubt.file}: {fix.decision}"
            else:
                window.said = f"{doubt.file}: another window was faster"
        else:
            return
        window.place += 1

    def undo(self, window: Window) -> None:
        """Take back the window's last step, unless another window decided otherwise since."""
        if not window.steps:
            return
        step = window.steps[-1]
        doubt = self._doubts[step.place]
        undone = step.made is None or self._decisions.replace(doubt.sha256, None, step.made)
        window.steps.pop()
        if not undone:
            window.said = f"{doubt.file}: another window decided otherwise since"
            return
        window.place, window.said = step.place, f"{doubt.file}: undone"


def make_review_page(review: Review) -> Starlette:
    """Make the page; it may be served to this machine's browsers alone."""

    def show(request: Request) -> Response:
        name, window = review.window(request.query_params.get("window", ""))
        if name != request.query_params.get("window"):
            return RedirectResponse(f"/?window={name}", 303)
        try:
            return HTMLResponse(review.render(name, window))
        except UserError as error:
            return HTMLResponse(review.render_message(name, window, f"{error} Then load this page again."), 409)

    async def act(request: Request) -> Response:
        sent = {key: values[0] for key, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
        name, window = review.window(sent.get("window", ""))
        try:
            if request.url.path == "/undo":
                await run_in_threadpool(review.undo, window)
            elif sent.get("place", "").isascii() and sent.get("place", "").isdigit():
                decision = int(sent["place"]), sent.get("action", ""), sent.get("breed", "")
                await run_in_threadpool(review.decide, window, *decision)
        except UserError as error:
            return HTMLResponse(review.render_message(name, window, f"{error} Then load this page again."), 409)
        return RedirectResponse(f"/?window={name}", 303)

    def give(request: Request) -> Response:
        path = request.url.path
        return PlainTextResponse((FOLDER / path[1:]).read_text(encoding="utf-8"), media_type=STATIC[path])

    routes = [Route("/", show), *(Route(path, give) for path in STATIC)]
    routes += [Route(path, act, methods=["POST"]) for path in ("/decide", "/undo")]
    return Starlette(routes=routes, middleware=[Middleware(LocalAccess, is_needed=is_needed, headers=GUARDS)])
