"""prepare, features and predict on a Ray cluster of two nodes, on this machine's loopback: as they are without.

Needs Ray (pip install -r requirements/ray.txt); what can be said without it is tried without it, too.
"""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
from PIL import Image
from small_classifiers import small_classifier
from tiny_pipeline import draw_unknown

from stages import augment, features, predict, prepare, prepare_unknown
from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core.errors import UserError, run
from stages.lib.engines.engine import LocalEngine, start_engine
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.model_files import save_classifier

ROOT = Path(__file__).resolve().parent.parent
BREEDS = ["Löwchen", "Pug"]
NAME = "small"  # of the backbone
REMEDY = "`ray start --head` starts one, and compute.address: local needs none."
TOKEN = "this machine needs the same one in ~/.ray/auth_token, and RAY_AUTH_MODE=token."
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_AUTH_MODE": "disabled",  # and nothing of Ray's is written to the home folder
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_worker_niceness": "0",  # of 15 by default, with which others on the machine keep a test waiting
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 1024**2, "include_dashboard": False}


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def cluster(environment):  # noqa: ARG001
    """Two nodes of one processor each, that notice within a few seconds that another is gone."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements/ray.txt")
    from ray.cluster_utils import Cluster

    often = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "_system_config": often})
    cluster.add_node(**SMALL)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def small_parts(monkeypatch):
    """So that a few photos are many parts."""
    from stages.lib.engines import ray_engine

    monkeypatch.setattr(ray_engine, "PHOTOS_A_PART", 4)
    monkeypatch.setattr(ray_engine, "BATCHES_A_PART", 1)


@pytest.fixture(scope="module")
def connection(cluster):
    """One for many tests, as the processes that it has on the nodes take seconds to start."""
    with start_engine("ray", cluster.address) as engine:
        yield type(engine)


@pytest.fixture
def engine(connection, small_parts, tmp_path, monkeypatch):  # noqa: ARG001
    monkeypatch.chdir(tmp_path)
    return connection()


@pytest.fixture
def numbers(tmp_path):
    """Forty files, each with its number in it."""
    files = [tmp_path / f"{number:02}.txt" for number in range(40)]
    for number, file in enumerate(files):
        file.write_text(str(number))
    return files


@pytest.fixture(scope="module")
def photos(tmp_path_factory, draw_photo):
    """A repository's root with photos, some of which are refused."""
    root = tmp_path_factory.mktemp("photos")
    for place, breed in enumerate(BREEDS):
        folder = root / "photos" / breed
        folder.mkdir(parents=True)
        for number in range(40):
            draw_photo(100 * place + number, (64, 48)).save(folder / f"{number:02}.jpg")
        (folder / "a text, é.jpg").write_text("no picture")
        (folder / "empty.png").write_bytes(b"")
        (folder / "to nowhere.jpg").symlink_to("nowhere.jpg")
        cut = (folder / "00.jpg").read_bytes()
        (folder / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    draw_photo(1, (64, 48)).save(root / "photos" / BREEDS[1] / "in two breeds.png")
    shutil.copyfile(root / "photos" / BREEDS[1] / "in two breeds.png", root / "photos" / BREEDS[0] / "the same.png")
    keras.utils.set_random_seed(1)
    write_weights(build_backbone("EfficientNetLite0", 32), root / "random.weights.h5")
    return root


def set_engine(write_params, root, engine, address="auto"):
    small = {"network": "EfficientNetLite0", "weights": "random.weights.h5", "image_size": 32, "finetune_layers": 4}
    write_params(
        root / "params.yaml",
        **{
            "data.source": "photos", "data.unknown": "unknown", "data.image_size": 48,
            "augment.copies": 1, "precision": "mixed_bfloat16",
            "backbones": {NAME: small}, "main_backbone": NAME,
            "compute.engine": engine, "compute.address": address,
        },
    )  # fmt: skip


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_all_three_give_the_same_bytes_on_a_cluster(
    cluster, photos, tmp_path, write_params, run_stage, contents, monkeypatch, capsys
):
    """With the photos that are refused, in the same words; the network in bfloat16, whose results batches change."""
    made, said, asked = {}, {}, {}
    for engine in ("local", "ray"):
        root = tmp_path / engine
        shutil.copytree(photos, root, symlinks=True)
        draw_unknown(root / "unknown")
        set_engine(write_params, root, engine, cluster.address)
        capsys.readouterr()
        assert run_stage(prepare.main, root) == 0
        assert run_stage(prepare_unknown.main, root) == 0
        said[engine] = capsys.readouterr().out
        assert run_stage(augment.main, root) == 0
        keras.backend.clear_session()  # Keras numbers networks, from 0 in a process of their own
        assert [run_stage(features.main, root, NAME, pictures) for pictures in ("photos", "views")] == [0, 0]
        made[engine] = {
            place: contents(root / place)
            for place in (
                "data/prepared",
                "data/prepared_unknown",
                "data/features",
                "data/activations",
                "metrics",
                "plots",
            )
        }
        for pictures in ("photos", "views"):
            made[engine]["metrics"].pop(f"costs/features/{NAME}/{pictures}.json")
        assert list(root.rglob("*.partial")) == []

        keras.utils.set_random_seed(2)
        save_classifier(small_classifier(scratch_network(32, 2, 0.1), BREEDS, size=48), root / "it.keras")
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", ["predict", "photos", "--model", "it.keras", "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(predict.main)
        out, err = capsys.readouterr()
        asked[engine] = (ended.value.code, out, [line for line in err.splitlines() if line.startswith("not read")])
    assert made["ray"] == made["local"]
    assert len(made["ray"]["data/prepared"]) > 70
    assert made["ray"]["metrics"]["prepare.json"]
    assert said["ray"] == said["local"]
    assert said["ray"].count("refused: ") == 10 + 1
    assert asked["ray"] == asked["local"]
    assert asked["ray"][0] == 1
    assert len(json.loads(asked["ray"][1])) == 82
    assert len(asked["ray"][2]) == 6, "a link to nowhere in a folder is none of its files"


@pytest.mark.slow
def test_a_process_that_is_killed_costs_no_photo_and_is_not_told_on_stdout(engine, numbers, tmp_path, capsys):
    def kill_first(file):
        mark = tmp_path / f"{file.name}.mark"
        if file == numbers[17] and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return int(file.read_text())

    def of_batches(factor, files):
        for start in range(0, len(files), 4):
            yield [factor * kill_first(file) for file in files[start : start + 4]]

    assert engine.map(kill_first, numbers, "test", tmp_path) == list(range(40))
    (tmp_path / "17.txt.mark").unlink()
    sets = [numbers[:6], numbers[6:]]
    (tmp_path / "shards").mkdir()
    found = list(engine.batches(10, of_batches, sets, 4, tmp_path / "shards"))
    assert (tmp_path / "17.txt.mark").exists()
    assert found == list(LocalEngine().batches(10, of_batches, sets, 4, tmp_path / "shards"))
    assert [len(batch) for batch in found] == [4, 2, *[4] * 8, 2]
    assert capsys.readouterr().out == ""
    assert list((tmp_path / "shards").iterdir()) == []


@pytest.mark.slow
def test_no_more_is_done_ahead_of_a_slow_part_than_can_be_sent_twice_over(engine, numbers, tmp_path):
    def begin(file):
        (tmp_path / f"{file.name}.mark").touch()
        deadline = time.monotonic() + (60 if file == numbers[0] else 0)
        while len(list(tmp_path.glob("*.mark"))) <= 4 * 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        if file == numbers[0]:
            time.sleep(1)  # in which everything would be done
        return len(list(tmp_path.glob("*.mark")))

    # 4 parts of 4 photos wait, and 3 more were sent beside the slow one
    assert 4 * 4 < engine.map(begin, numbers, "test", tmp_path)[0] <= 4 * 7 + 1


@pytest.mark.slow
def test_what_kills_whoever_reads_it_is_not_tried_for_ever(engine, numbers, tmp_path):
    def kill(file):
        if int(file.read_text()) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    lost = "The Ray cluster lost a part of the work 4 times, or was lost itself"
    with pytest.raises(UserError, match=lost):
        engine.map(kill, numbers, "test", tmp_path)
    with pytest.raises(UserError, match=lost):
        list(engine.batches(None, lambda _, files: map(kill, files), [numbers], 1))


@pytest.mark.slow
def test_a_node_that_is_lost_costs_no_photo(cluster, engine, numbers, tmp_path):
    import ray

    def slow(file):
        (tmp_path / f"on {ray.get_runtime_context().get_node_id()}").touch()
        time.sleep(0.1)
        return int(file.read_text())

    def of_batches(factor, files):
        for start in range(0, len(files), 4):
            yield [factor * slow(file) for file in files[start : start + 4]]

    for ask, expected in (
        (lambda: engine.map(slow, numbers, "test", tmp_path), list(range(40))),
        (
            lambda: [number for batch in engine.batches(10, of_batches, [numbers], 4) for number in batch],
            list(range(0, 400, 10)),
        ),
    ):
        node = cluster.add_node(**SMALL)
        cluster.wait_for_nodes()
        began = tmp_path / f"on {node.node_id}"

        def lose(began=began, node=node):
            deadline = time.monotonic() + 60
            while not began.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            cluster.remove_node(node, allow_graceful=False)

        losing = threading.Thread(target=lose)
        losing.start()
        assert ask() == expected
        losing.join()
        assert began.exists(), "the node was to be lost in the middle of its work"
        assert node not in cluster.list_all_nodes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [UserError("do this, not that"), OSError(errno.ENOSPC, "No space left on device", "x.png"), MemoryError("x.png")],
    ids=lambda error: type(error).__name__,
)
def test_what_goes_wrong_on_a_node_is_what_would_have_gone_wrong_here(engine, numbers, tmp_path, error):
    def fail(file):
        if int(file.read_text()) == 21:
            raise error
        return 0

    with pytest.raises(type(error)) as raised:
        engine.map(fail, numbers, "test", tmp_path)
    assert (str(raised.value), raised.value.args) == (str(error), error.args)
    if isinstance(error, UserError):
        with pytest.raises(UserError, match=str(error)):
            list(engine.batches(fail, lambda model, files: map(model, files), [numbers], 1))


@pytest.mark.slow
def test_a_node_that_does_not_see_a_photo_is_named(engine, numbers, tmp_path):
    here_alone = Path(f"/proc/self/task/{os.getpid()}/stat")  # a file that this process has and no other
    assert here_alone.exists()
    with pytest.raises(UserError) as raised:
        engine.map(lambda _: 0, [*numbers, here_alone], "test", tmp_path)
    message = str(raised.value)
    assert message.startswith("compute.engine: ray takes nodes that share a file system")
    assert message.endswith(f", which can't read {here_alone}; the machine that asks can.")


@pytest.mark.slow
def test_a_node_that_does_not_see_the_repository_is_named(engine, numbers):
    with pytest.raises(UserError, match=r"which can't read /proc/self/task/.*; the machine that asks can"):
        engine.map(lambda _: 0, numbers, "test", Path(f"/proc/self/task/{os.getpid()}"))


@pytest.mark.slow
def test_a_node_with_another_version_is_named(engine, numbers, tmp_path, monkeypatch):
    from stages.lib.engines import ray_engine

    here = ray_engine._versions() | {"pillow": "1.0"}
    monkeypatch.setattr(ray_engine, "_versions", lambda: here)
    with pytest.raises(UserError, match=r"results would differ\. Received: .* with pillow \d+\.\d+\.\d+, here 1\.0\.$"):
        engine.map(lambda _: 0, numbers, "test", tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_ctrl_c_leaves_no_process_of_a_cluster_that_a_stage_started_and_nothing_half_done(tmp_path, write_params):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements/ray.txt")
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    for breed in BREEDS:
        (tmp_path / "photos" / breed).mkdir(parents=True)
        noise = np.random.default_rng(len(breed)).integers(0, 256, (1500, 2000, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / breed / "0.jpg")
        for number in range(1, 60):
            (tmp_path / "photos" / breed / f"{number}.jpg").hardlink_to(tmp_path / "photos" / breed / "0.jpg")
    set_engine(write_params, tmp_path, "ray", "local")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.prepare"], cwd=tmp_path, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        while process.poll() is None and not list(tmp_path.glob("data/prepared.partial/resized/*/*.png")):
            time.sleep(0.05)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 2
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "stopped: run it again to go on from the stages that are done"
    assert "Traceback" not in out + err
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_an_address_without_a_cluster_is_one_line(photos, tmp_path, write_params, run_stage, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements/ray.txt")
    shutil.copytree(photos, tmp_path / "root", symlinks=True)
    address = f"127.0.0.1:{free_port()}"
    set_engine(write_params, tmp_path / "root", "ray", address)
    assert run_stage(prepare.main, tmp_path / "root") == 1
    assert capsys.readouterr().err == (
        f"error: compute.address must be where a Ray cluster is. Received: {address}, where nothing answers "
        f"(Connection refused): {REMEDY}\n"
    )


ASK = """
import sys
from pathlib import Path
from stages.lib.engines.engine import start_engine
with start_engine("ray", sys.argv[1]) as engine:
    from stages.lib.engines.ray_cluster import processors
    print(engine.map(lambda file: file.name, [Path("a"), Path("b")], "test", Path("home")), list(processors().values()))
    batches = engine.batches(None, lambda _, files: map(str, files), [[Path("a")] * 99], 1)
    next(batches)
batches.close()  # later than the connection, which it does not open again
import ray
print(ray.is_initialized())
"""


@pytest.fixture
def with_a_token(environment, tmp_path, monkeypatch):  # noqa: ARG001
    """The address of a cluster of two nodes, by the commands of docs/scaling.md; its token is in the folder home."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements/ray.txt")
    ray = Path(sys.executable).with_name("ray")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    subprocess.run([ray, "get-auth-token", "--generate"], check=True, capture_output=True, timeout=100)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", f"--port={address.partition(':')[2]}", "--disable-usage-stats", "--include-dashboard=false"]
    nodes = []
    try:
        for options in (head, [f"--address={address}"]):
            command = [ray, "start", *options, "--block", "--num-cpus=1", "--node-ip-address=127.0.0.1"]
            nodes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            said = []
            for line in nodes[-1].stdout:
                said.append(line)
                if "will now block forever" in line:
                    break
            else:
                pytest.fail("".join(["the cluster did not start:\n", *said]))
        yield address
    finally:
        for node in reversed(nodes):
            node.terminate()
            node.communicate(timeout=60)


@pytest.mark.slow
def test_a_cluster_with_a_token_is_used_by_who_has_it_and_others_are_told(with_a_token, tmp_path):
    def ask(**environment):
        return subprocess.run(
            [sys.executable, "-c", ASK, with_a_token], cwd=tmp_path, env=os.environ | environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    assert ask().stdout == "['a', 'b'] [1.0, 1.0]\nFalse\n"
    (tmp_path / "empty").mkdir()
    has_none = ask(HOME=str(tmp_path / "empty")).stderr.splitlines()[-1]
    assert has_none.endswith(f"UserError: The Ray cluster at compute.address: {with_a_token} has a token: {TOKEN}")
    does_not_show_it = ask(RAY_AUTH_MODE="disabled").stderr.splitlines()[-1]
    assert "UserError: compute.address must be where a Ray cluster is. Received: " in does_not_show_it
    assert does_not_show_it.endswith(f"{REMEDY} If that one has a token: {TOKEN}")


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_ray_is_asked_for_where_it_is_not_installed_and_local_does_without(
    photos, tmp_path, write_params, run_stage, monkeypatch, capsys, engine
):
    for module in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "ray", None)  # which makes an import of it fail
    monkeypatch.delitem(sys.modules, "stages.lib.engines.ray_engine", raising=False)
    shutil.copytree(photos, tmp_path / "root", symlinks=True)
    set_engine(write_params, tmp_path / "root", engine)
    code = run_stage(prepare.main, tmp_path / "root")
    if engine == "local":
        assert code == 0
        return
    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: compute.engine: ray takes packages that are not installed (")
    assert line.endswith("): pip install -r requirements/ray.txt, or set compute.engine to local.")
