"""prepare, features and predict without Ray and on clusters of one and of two nodes here: seconds and memory.

Run     python -m benchmarks.ray_engine --photos FOLDER [--times 1 4] [--stages prepare features predict]
        [--nodes 0 1 2]

A node has one processor. The cluster runs already when a stage starts, on a head without processors, where the stage
itself is: so what a node takes and what the stage takes are told apart. Results are compared, byte by byte, with those
of the engine local. features runs EfficientNet-Lite0 over the photos and one view of each, predict the same
network with a head that nobody trained over the photos as they are.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import psutil

from benchmarks.photographs import read_photos, write_copies
from benchmarks.pipeline import ROOT, alone, bundled, write_params
from stages.lib.backbones.build import build_backbone
from stages.lib.core.classifier import Classifier
from stages.lib.familiarity.scores import normalise
from stages.lib.networks.classifiers import head_network, join, with_familiarity
from stages.lib.networks.model_files import save_classifier

POLL = 0.2  # seconds
NODE = {"object_store_memory": 200 * 1024**2, "include_dashboard": False}
MADE = {
    "prepare": ["data/prepared", "metrics/prepare.json"],
    "features": ["data/features", "data/activations"],
    "predict": ["printed"],
}
NETWORK = "EfficientNetLite0"
BACKBONE = bundled(NETWORK, 128, 4)
MODEL = "untrained.keras"
OPTIONS = {
    "features": [NETWORK],
    "predict": ["photos", "--json", "--model", MODEL],
    "sources.efficientnet_lite_weights": [NETWORK],
}


def memory_below(pid: int) -> int:
    """What a process and all that it has started hold in RAM, in bytes; what processes share is counted once."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between the two calls
    return total


@contextmanager
def peaks(pids: dict[str, int]) -> Iterator[dict[str, float]]:
    """Note, while the block runs, the most memory that each process holds with those below it, in MiB by its name."""
    found = dict.fromkeys(pids, 0.0)
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(POLL):
            for name, pid in pids.items():
                found[name] = max(found[name], memory_below(pid) / 2**20)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()


@contextmanager
def cluster_of(nodes: int) -> Iterator[tuple[str, dict[str, int]]]:
    """A cluster's address, and the process of each of its ``nodes``, which have one processor; the head has none."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    try:
        started = [cluster.add_node(num_cpus=1, **NODE) for _ in range(nodes)]
        cluster.wait_for_nodes()
        pids = {
            f"node {number}": node.all_processes["raylet"][0].process.pid
            for number, node in enumerate(started, start=1)
        }
        yield cluster.address, pids
    finally:
        cluster.shutdown()


def set_engine(folder: Path, engine: str, address: str) -> None:
    """Write params.yaml for photos in ``folder``/photos and EfficientNet-Lite0."""
    compute = {"engine": engine, "address": address}
    write_params(folder, {**alone(BACKBONE), "data.source": "photos", "augment.copies": 1, "compute": compute})


def write_model(folder: Path, breeds: list[str]) -> None:
    """Write a network with seeded weights in its head to ``folder``/`MODEL`."""
    keras.utils.set_random_seed(1)
    size = BACKBONE["image_size"]
    backbone = build_backbone(NETWORK, size, folder / BACKBONE["weights"])
    channels = backbone.output_shape[-1]
    network = join(backbone, head_network(channels, len(breeds), 512, 0.5))
    means = normalise(np.random.default_rng(1).random((len(breeds), channels), np.float32))
    save_classifier(Classifier(with_familiarity(network, means), sorted(breeds), "crop", size, [0.5]), folder / MODEL)


def run_stage(folder: Path, stage: str, nodes: dict[str, int]) -> tuple[float, dict[str, float]]:
    """Run a stage in ``folder``; its seconds, and its memory and that of each node at their most, in MiB."""
    start = time.perf_counter()
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}", *OPTIONS.get(stage, [])],
            cwd=folder, stdout=printed, stderr=subprocess.PIPE,
        )  # fmt: skip
        with peaks({"stage": process.pid, **nodes}) as found:
            _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{stage} failed:\n{errors.decode()[-2000:]}")
    return time.perf_counter() - start, found


def digest(folder: Path, stage: str) -> str:
    """One hash of all that a stage has made."""
    found = hashlib.sha256()
    for place in MADE[stage]:
        for file in sorted([folder / place, *(folder / place).rglob("*")]):
            if file.is_file():
                found.update(str(file.relative_to(folder)).encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def measure(folder: Path, stages: list[str], nodes: int) -> Iterator[dict[str, Any]]:
    """Run ``stages`` on a cluster of ``nodes``; without Ray where that is 0."""

    def rows(address: str, pids: dict[str, int]) -> Iterator[dict[str, Any]]:
        for stage in stages:
            set_engine(folder, "ray" if nodes else "local", address)
            seconds, memory = run_stage(folder, stage, pids)
            a_node = [value for name, value in memory.items() if name != "stage"]
            yield {
                "stage": stage, "nodes": nodes, "seconds": seconds, "MiB, stage": memory["stage"],
                "MiB, a node": max(a_node, default=0), "digest": digest(folder, stage),
            }  # fmt: skip

    if not nodes:
        yield from rows("auto", {})
        return
    with cluster_of(nodes) as (address, pids):
        yield from rows(address, pids)


def main() -> None:
    """Measure what is asked for; print each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_engine", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder with one sub-folder a breed")
    parser.add_argument("--times", nargs="+", type=int, default=[1, 4], help="how many copies of each photo: 1 4")
    parser.add_argument("--stages", nargs="+", choices=MADE, default=["prepare"], help="prepare")
    parser.add_argument("--nodes", nargs="+", type=int, default=[0, 1, 2], help="0 (without Ray) 1 2")
    arguments = parser.parse_args()
    # read by Ray when it is imported; a node's processes find `stages` where each stage is run
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_worker_niceness": "0",  # as the stage itself has; 15 by default
    }

    photos = read_photos(arguments.photos)
    for times in arguments.times:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "stages").symlink_to(ROOT / "stages")
            write_copies(photos, folder / "photos", times)
            set_engine(folder, "local", "auto")
            for needed in ("sources.efficientnet_lite_weights", "prepare", "augment"):
                run_stage(folder, needed, {})
            write_model(folder, list(photos))
            found = []
            for nodes in arguments.nodes:
                for row in measure(folder, arguments.stages, nodes):
                    load = os.getloadavg()[0]
                    found.append({"photos": times * sum(map(len, photos.values())), **row, "load": load})
                    print(json.dumps(found[-1]), flush=True)
            table = pd.DataFrame(found)
            table["same bytes"] = table.groupby("stage")["digest"].transform("nunique") == 1
            print(table.drop(columns="digest").to_string(index=False, float_format="%.4g"), flush=True)


if __name__ == "__main__":
    main()
