"""prepare, features and predict without Ray and on clusters here: seconds and memory; what more nodes would take.

Run     python -m benchmarks.ray_engine --photos FOLDER [--times 1 4 16] [--stages prepare features predict]
        [--nodes 0 2] [--simulate 4 16]

A node has one processor, and is held to it. The cluster runs already when a stage starts, on a head without processors,
where the stage itself is: so what a node takes and what the stage takes are told apart. Results are compared, byte by
byte, with those of the engine local, which has all processors. features runs EfficientNet-Lite0 over the photos,
predict the same network with a head that nobody trained over the photos as they are.

Where others use the processors, seconds by the clock tell little; the processors' seconds do, as good as ever. Of two
or more numbers of photos, a line through the nodes' seconds tells what the photos take, and what is left for none,
which is a node's start. N nodes then take the seconds of the stage and the head, a node's start, and an Nth of what the
photos take: more than they will, as the stage works while the nodes do, where files are read and sent as fast as here.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
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

POLL = 0.5  # seconds; looking takes processor time, too
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
    "features": [NETWORK, "photos"],
    "predict": ["photos", "--json", "--model", MODEL],
    "sources.efficientnet_lite_weights": [NETWORK],
}


class Usage:
    """What processes and all that they start use while a block runs: MiB at their most, and the processors' seconds."""

    def __init__(self, pids: list[int]):
        self.memory = 0.0
        self._pids = pids
        self._seconds: dict[psutil.Process, float] = {}
        self.look()
        self._before = sum(self._seconds.values())

    @property
    def seconds(self) -> float:
        """The processors' seconds since the beginning, of processes that have ended, too."""
        return sum(self._seconds.values()) - self._before

    def look(self) -> None:
        """Note what they hold in RAM now, what processes share counted once, and their seconds so far."""
        memory = 0
        for pid in self._pids:
            try:
                processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in processes:
                try:
                    self._seconds[process] = sum(process.cpu_times()[:2])
                    memory += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue  # it ended between the two calls
        self.memory = max(self.memory, memory / 2**20)


def processes_of(node: Any) -> list[int]:
    """The processes of a node of a cluster here."""
    return [info.process.pid for infos in node.all_processes.values() for info in infos]


@contextmanager
def cluster_of(nodes: int) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """A cluster's address, and the processes of its head and of its ``nodes``, one processor each; 0 are no cluster."""
    if not nodes:
        yield "auto", {}
        return
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    try:
        pids = {"head": processes_of(cluster.head_node)}
        every = os.sched_getaffinity(0)
        for number in range(nodes):
            os.sched_setaffinity(0, {sorted(every)[number % len(every)]})  # as all have that are started now
            pids[f"node {number}"] = processes_of(cluster.add_node(num_cpus=1, **NODE))
        os.sched_setaffinity(0, every)
        cluster.wait_for_nodes()
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
    network = join(backbone, head_network(channels, len(breeds), 0.5))
    means = normalise(np.random.default_rng(1).random((len(breeds), channels), np.float32))
    save_classifier(Classifier(with_familiarity(network, means), sorted(breeds), "crop", size, [0.5]), folder / MODEL)


def run_stage(folder: Path, stage: str, cluster: dict[str, list[int]]) -> tuple[float, dict[str, Usage]]:
    """Run a stage in ``folder``; its seconds, and what it and the cluster's head and nodes use."""
    start = time.perf_counter()
    usages = {name: Usage(pids) for name, pids in cluster.items()}
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}", *OPTIONS.get(stage, [])],
            cwd=folder, stdout=printed, stderr=subprocess.PIPE,
        )  # fmt: skip
        usages["stage"] = Usage([process.pid])
        while process.returncode is None:
            try:
                _, errors = process.communicate(timeout=POLL)
            except subprocess.TimeoutExpired:
                for usage in usages.values():
                    usage.look()
    if process.returncode:
        raise SystemExit(f"{stage} failed:\n{errors.decode()[-2000:]}")
    return time.perf_counter() - start, usages


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
    with cluster_of(nodes) as (address, cluster):
        for stage in stages:
            set_engine(folder, "ray" if nodes else "local", address)
            seconds, usages = run_stage(folder, stage, cluster)
            a_node = [usage for name, usage in usages.items() if name.startswith("node")]
            spread = sum(usage.seconds for usage in a_node)
            yield {
                "stage": stage, "nodes": nodes, "seconds": seconds, "CPU s, nodes": spread,
                "CPU s, stage and head": sum(usage.seconds for usage in usages.values()) - spread,
                "MiB, stage": usages["stage"].memory, "MiB, a node": max((usage.memory for usage in a_node), default=0),
                "digest": digest(folder, stage),
            }  # fmt: skip


def simulate(measured: pd.DataFrame, more: list[int]) -> pd.DataFrame:
    """What each stage would take, in seconds, for the most photos that were measured, on ``more`` nodes."""
    rows = []
    for stage, of_stage in measured[measured["nodes"] == measured["nodes"].max()].groupby("stage", sort=False):
        photos = of_stage["photos"]
        a_photo, starts = np.polyfit(photos, of_stage["CPU s, nodes"], 1)
        serial = of_stage["CPU s, stage and head"].iloc[photos.argmax()]
        start, spread = max(starts, 0) / of_stage["nodes"].iloc[0], a_photo * photos.max()
        rows.append({
            "stage": stage, "photos": photos.max(), "s, stage": serial, "s, a node's start": start,
            "s, all photos": spread, **{f"s, {n} nodes": serial + start + spread / n for n in more},
            "half serial at, nodes": spread / (serial + start),
        })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Measure what is asked for; print each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_engine", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder with one sub-folder a breed")
    parser.add_argument(
        "--times", nargs="+", type=int, default=[1, 4, 16], help="how many copies of each photo: 1 4 16"
    )
    parser.add_argument("--stages", nargs="+", choices=MADE, default=[*MADE], help="all three")
    parser.add_argument("--nodes", nargs="+", type=int, default=[0, 2], help="0 (without Ray) 2")
    parser.add_argument("--simulate", nargs="+", type=int, default=[4, 16], metavar="NODES", help="4 16")
    arguments = parser.parse_args()
    # read by Ray when it is imported; a node's processes find `stages` where each stage is run
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_worker_niceness": "0",  # as the stage itself has; 15 by default
    }

    photos = read_photos(arguments.photos)
    measured = pd.DataFrame()
    for times in arguments.times:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "stages").symlink_to(ROOT / "stages")
            write_copies(photos, folder / "photos", times)
            set_engine(folder, "local", "auto")
            for needed in ("sources.efficientnet_lite_weights", "prepare"):
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
            measured = pd.concat([measured, table])
    if len(arguments.times) > 1 and max(arguments.nodes):
        print(simulate(measured, arguments.simulate).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
