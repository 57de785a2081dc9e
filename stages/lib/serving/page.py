"""The page of `stages.app`, in Gradio: where photos are dropped, and what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fastapi
import gradio as gr
import tensorflow as tf

from stages.lib.inference.nearest import TrainingPhotos
from stages.lib.serving.answers import answer_in_batches
from stages.lib.serving.local_access import LocalAccess
from stages.lib.serving.page_content import STYLE, Shown, render_about, render_answers, show_batch
from stages.lib.serving.tidying import keep_deleting_older
from stages.lib.serving.trained_models import Trained

TITLE = "Which breed is it?"
LARGEST = "100mb"  # a photo's file; those of phones have below 20
MOST = 100  # photos at once; Gradio takes up to 1,000 files
WAITING = 10  # browsers' requests; one is answered at a time
BATCH_SIZE = 8  # photos between two steps of the progress bar
# seconds: a copy goes when it is between 540 and 570 old, where the page promises ten minutes at most
KEPT, TIDY_EVERY = 540, 30


class Upload(NamedTuple):
    """A file that was dropped on the page."""

    path: Path  # of the copy
    name: str  # as the person has it; Gradio's copy has fewer kinds of characters


def check_uploaded(place: str | Path, folder: Path) -> Path:
    """The path of a file that the browser names as uploaded.

    Raises `gradio.Error` for one that is not in ``folder``, where uploads are, and for an address.
    """
    path = Path(place)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise gr.Error("This page answers about files that were dropped on it alone.", print_exception=False)
    return path


def find_uploads(sent: list[dict[str, Any]] | None, folder: Path) -> list[Upload]:
    """The files that a browser names as uploaded, in its order, each in ``folder``."""
    uploads = []
    for file in sent or []:
        path = check_uploaded(file["path"], folder)
        uploads.append(Upload(path, file.get("orig_name") or path.name))
    return uploads


def make_place_to_drop(folder: Path) -> gr.File:
    """Where photos are dropped.

    Gradio would copy any file of this machine to its uploads that a request names (it checks it only in what it
    launched itself, not in what is mounted), and fetch any address. A subclass would be the proper way, but for one
    Gradio writes a .pyi file into the package.
    """
    photos = gr.File(file_count="multiple", label="Photos of dogs", height=180)

    async def keep(place: str | Path | None) -> str | None:
        return None if place is None else str(check_uploaded(place, folder))

    photos.async_move_resource_to_block_cache = keep
    return photos


def answer_uploads(
    trained: Trained,
    training_photos: TrainingPhotos | None,
    uploads: list[Upload],
    max_pixels: int,
    progress: Callable[[tuple[int, int]], Any],
) -> str:
    """Answer the files that were dropped: HTML.

    Raises `gradio.Error`, which the page shows, where there is no memory for it.
    """
    names = {upload.path: upload.name for upload in uploads}
    files = list(names)[:MOST]
    shown = Shown([], [], left_out=len(names) - len(files))
    try:
        for batch in answer_in_batches(
            trained.classifier, files, max_pixels, trained.familiarity, trained.threshold, BATCH_SIZE
        ):
            more = show_batch(trained, training_photos, batch, names)
            shown = shown._replace(photos=shown.photos + more.photos, faults=shown.faults + more.faults)
            progress((len(shown.photos) + len(shown.faults), len(files)))
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise gr.Error(
            "There is not enough memory for these photos: try fewer, or smaller ones.",
            duration=None,
            print_exception=False,
        ) from error
    return render_answers(shown, trained.threshold)


def lifespan_deleting_copies(folder: Path) -> Callable[[fastapi.FastAPI], AbstractAsyncContextManager[None]]:
    """What FastAPI runs as long as it serves the page: it deletes the copies of photos in ``folder``, see `KEPT`.

    Gradio's own `delete_cache` goes through a set in one thread while uploads add to it in another; when the two meet,
    no copy is ever deleted again. Nor does it know of uploads that were broken off.
    """

    @asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_deleting_older(folder, KEPT, TIDY_EVERY))
        yield
        task.cancel()

    return lifespan


def make_page(
    trained: Trained,
    training_photos: TrainingPhotos | None,
    path: Path,
    evaluation: dict[str, Any],
    max_pixels: int,
    folder: Path,
) -> fastapi.FastAPI:
    """Make the page for the model that was read from ``path``; it may be served to this machine's browsers alone.

    ``training_photos`` are what `read_alike` gives. ``folder`` is where Gradio puts uploads, as GRADIO_TEMP_DIR told.
    They are deleted within ten minutes.
    """
    with gr.Blocks(analytics_enabled=False, title=TITLE) as blocks:
        gr.HTML(f"<h1>{TITLE}</h1>", apply_default_css=False)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                photos = make_place_to_drop(folder)
                answers = gr.HTML(elem_classes="answers", apply_default_css=False)
            with gr.Column(scale=1, min_width=280):
                gr.HTML(render_about(trained, path, evaluation), elem_classes="about", apply_default_css=False)

        def tell(
            sent: list[dict[str, Any]] | None,
            progress: gr.Progress = gr.Progress(),  # noqa: B008, how Gradio knows that progress is wanted
        ) -> tuple[str, None]:
            uploads = find_uploads(sent, folder)
            html = answer_uploads(
                trained, training_photos, uploads, max_pixels, lambda done: progress(done, unit="photos")
            )
            return html, None  # so that the next can be dropped

        photos.upload(
            tell,
            photos,
            [answers, photos],
            preprocess=False,  # it would forget the names that the person gave the files
            show_progress_on=answers,
            concurrency_limit=1,
            api_visibility="private",
        )
    blocks.queue(max_size=WAITING, api_open=False)
    page = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan_deleting_copies(folder))
    gr.mount_gradio_app(
        page,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=[str(Path.cwd())],
        show_error=False,
        max_file_size=LARGEST,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Default(font="system-ui", font_mono="monospace"),
        css=STYLE,
    )
    page.add_middleware(LocalAccess)
    return page
