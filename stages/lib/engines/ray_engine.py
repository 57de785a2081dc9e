"""The work on single photos, on the nodes of a Ray cluster that share a file system.

A part of the work is sent to whichever process is free, and done again elsewhere where a process or a node is lost.
What is sent is a list of paths, what comes back a short list or the path of a shard: pictures and activations never
pass through the process that asks for them, but for the one shard that it is reading.
"""

import contextlib
import functools
import math
import os
import pickle
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stages.lib.core.errors import UserError
from stages.lib.core.progress import Progress
from stages.lib.engines.ray_cluster import connect, processors

PHOTOS_A_PART = 32
BATCHES_A_PART = 4
AHEAD = 2  # parts that a process has at once, so that the next is there when one is done
ENDS_WITHIN = 30  # seconds, for what is being done when the run is broken off
RETRIES = 3  # of a part whose process or node is lost; a photo that kills whoever reads it is not tried for ever
_Sender = Callable[[list[Path]], ray.ObjectRef]  # of a part
PACKAGES = (  # which decide what is computed
    "ai-edge-litert", "imagehash", "keras", "numpy", "onnxruntime", "pillow", "pillow-heif", "scipy", "tensorflow",
)  # fmt: skip


class _Reply(NamedTuple):
    """What comes of a part."""

    node: str  # its address
    results: list[Any] | Path  # or the shard that has them
    unread: list[Path]  # files that the node can't read
    versions: dict[str, str]  # of `PACKAGES`
    error: Exception | None


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _enter(root: str, folder: Path | None, node: str) -> None:
    """Go to the repository's root, in a process on a node; raise `UserError` where the node does not see the folder."""
    needed = Path(root, folder or "")
    with contextlib.suppress(OSError):
        os.chdir(root)
        list(needed.parent.iterdir())  # or a network file system may tell what was there half a minute ago
    if not needed.is_dir():
        raise UserError(_not_shared(node, needed))


def _not_shared(node: str, path: Path) -> str:
    return (
        "compute.engine: ray takes nodes that share a file system, with the repository and the photos at the same path "
        f"on each of them. Received: {node}, which can't read {path.absolute()}; the machine that asks can."
    )


def _reply(work: Callable[[list[Path]], Any], files: list[Path], root: str, folder: Path | None) -> bytes:
    """Do ``work`` with ``files`` in a process on a node, and tell what came of it, pickled.

    Errors are told, too, because Ray would wrap them in its own and print tracebacks.
    """
    node = ray.util.get_node_ip_address()
    unread: list[Path] = []
    try:
        _enter(root, folder, node)
        unread = [file for file in files if not os.access(file, os.R_OK)]
        reply = _Reply(node, work(files), unread, _versions(), None)
    except Exception as error:
        error.add_note(f"on the node {node}:\n{traceback.format_exc()}")
        reply = _Reply(node, [], unread, {}, error)
    try:
        return cloudpickle.dumps(reply)
    except Exception:  # an exception may hold anything
        return cloudpickle.dumps(reply._replace(error=RuntimeError(repr(reply.error)), results=[]))


def _map_part(job: bytes, files: list[Path]) -> bytes:
    """Do a part of `RayEngine.map`."""
    function, root, folder = cloudpickle.loads(job)
    return _reply(lambda files: list(map(function, files)), files, root, folder)


class _Asker:
    """A process on a node that has the model and works parts of `RayEngine.batches` off."""

    def __init__(self, job: Any, root: str, shards: Path | None):
        self._job, self._root, self._shards = job, root, shards

    def _work(self, files: list[Path]) -> list[Any] | Path:
        if isinstance(self._job, bytes):  # not loaded yet, as what goes wrong in `__init__` would not be told
            self._job = cloudpickle.loads(self._job)
        model, work = self._job
        results = list(work(model, files))
        if self._shards is None:
            return results
        shard = self._shards / f"{uuid.uuid4().hex}.pickle"  # not the part's number: it may be done twice at once
        with shard.open("wb") as file:
            pickle.dump(results, file, protocol=pickle.HIGHEST_PROTOCOL)
        return shard

    def do(self, files: list[Path]) -> bytes:
        """Do a part."""
        return _reply(self._work, files, self._root, self._shards)


def _cut(files: list[Path], size: int) -> list[list[Path]]:
    return [files[start : start + size] for start in range(0, len(files), size)]


def _check(reply: _Reply) -> None:
    """Raise what went wrong on a node, and `UserError` where it can't be expected to give what this machine would."""
    for file in reply.unread:
        if os.access(file, os.R_OK):  # a photo that nobody can read is refused, wherever it is tried
            raise UserError(_not_shared(reply.node, file))
    if reply.error is not None:
        raise reply.error
    here = _versions()
    differs = [f"{name} {number}, here {here[name]}" for name, number in reply.versions.items() if number != here[name]]
    if differs:
        raise UserError(
            f"Every node must have what requirements.txt pins, or results would differ. Received: {reply.node} with "
            f"{'; '.join(differs)}."
        )


def _in_order(parts: list[list[Path]], senders: Sequence[_Sender]) -> Iterator[list[Any] | Path]:
    """The results of each part, in the order of the parts, each as soon as those before it have come.

    Each of ``senders`` is called with another part where fewer than `AHEAD` of its own are not done, and none where as
    many results as can be sent at once wait for an earlier one.
    """
    free = deque([*senders] * AHEAD)
    most = len(free)
    sent: dict[ray.ObjectRef, tuple[int, _Sender]] = {}
    waiting: dict[int, list[Any] | Path] = {}
    unsent = deque(enumerate(parts))
    following = 0
    try:
        while unsent or sent:
            while unsent and free and len(waiting) < most:
                (number, files), sender = unsent.popleft(), free.popleft()
                sent[sender(files)] = number, sender
            (done,), _ = ray.wait(list(sent))
            number, sender = sent.pop(done)
            free.append(sender)
            reply = pickle.loads(ray.get(done))
            _check(reply)
            waiting[number] = reply.results
            while following in waiting:
                yield waiting.pop(following)
                following += 1
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"The Ray cluster lost a part of the work {RETRIES + 1} times, or was lost itself; its logs, in the folder "
            f"of its session on each node, tell why: {lines[0] if lines else type(error).__name__}"
        ) from None
    finally:
        if sent and ray.is_initialized():  # or what follows would start a cluster
            with contextlib.suppress(ray.exceptions.RayError):  # of a cluster that is lost, which was told above
                for part in sent:
                    ray.cancel(part)
                # so that nobody writes any more to a folder that is removed next
                ray.wait(list(sent), num_returns=len(sent), timeout=ENDS_WITHIN)


class RayEngine:
    """Does it on the nodes of the cluster that this process is connected to."""

    def __init__(self) -> None:
        self._root = str(Path.cwd())

    def map(self, function: Callable[[Path], Any], files: list[Path], what: str, folder: Path) -> list[Any]:
        """See `Engine`; as tasks, as many at once as the nodes have processors."""
        job = cloudpickle.dumps((function, self._root, folder))
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_map_part)
        senders = [functools.partial(task.remote, job)] * int(sum(processors().values()))
        results: list[Any] = []
        with Progress(desc=what, total=len(files), unit="photo") as bar:
            for of_part in _in_order(_cut(files, PHOTOS_A_PART), senders):
                assert isinstance(of_part, list)  # no shards here
                results += of_part
                bar.update(len(of_part))
        return results

    def batches(
        self,
        model: Any,
        work: Callable[[Any, list[Path]], Iterator[Any]],
        sets: list[list[Path]],
        batch_size: int,
        shards: Path | None = None,
    ) -> Iterator[Any]:
        """See `Engine`; by one process a node, which is sent the model once and has all processors of the node."""
        parts = [part for files in sets for part in _cut(files, BATCHES_A_PART * batch_size)]
        nodes = processors()
        job = ray.put(cloudpickle.dumps((model, work)))
        # so little that all have room on the last node that is left
        actor = ray.remote(
            num_cpus=math.floor(1e4 * min(nodes.values()) / len(nodes)) / 1e4, max_restarts=-1, max_task_retries=RETRIES
        )(_Asker)
        askers = [
            actor.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True)).remote(
                job, self._root, shards
            )
            for node, _ in zip(nodes, parts, strict=False)  # no more than there are parts
        ]
        for of_part in _in_order(parts, [asker.do.remote for asker in askers]):
            if isinstance(of_part, Path):
                yield from pickle.loads(of_part.read_bytes())
                of_part.unlink()
            else:
                yield from of_part


@contextlib.contextmanager
def ray_engine(address: str) -> Iterator[RayEngine]:
    """Connect to the cluster at ``address`` ("local" starts one on this machine), and leave or end it at the end.

    Raises `UserError` where there is none.
    """
    try:
        connect(address)
        yield RayEngine()
    finally:
        ray.shutdown()
