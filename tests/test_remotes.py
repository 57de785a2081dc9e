"""What one person pushes to a remote, as docs/sharing.md says, another one pulls and has nothing left to compute."""

import os
import re
import shutil

import pytest
from pipeline_fixtures import ROOT, Repository, is_within, read_records, recording, stages_run
from tiny_pipeline import FINETUNE

pytestmark = pytest.mark.slow

BUCKET = "dogs"
MISSING = "dvc-s3 and moto are not installed: pip install -r requirements/remotes.txt"


def commands_of_the_docs(remote: str) -> tuple[list[str], list[str]]:
    """What docs/sharing.md tells who shares to do with ``remote``, and then the other one, as arguments of DVC."""
    page = (ROOT / "docs/sharing.md").read_text()
    blocks = [re.findall("^dvc (.*)$", block, re.MULTILINE) for block in re.findall("```bash\n(.*?)```", page, re.S)]
    (push,) = (block for block in blocks if any(re.search(remote, command) for command in block))
    (pull,) = (block for block in blocks if any(command.startswith("pull") for command in block))
    assert [command.split()[0] for command in push + pull] == ["remote", "push", "pull", "repro"]
    return push, pull


@pytest.fixture(scope="module")
def repository(first_run):
    """The repository of the first run, with its photos in DVC's care, too."""
    repository = first_run[0]
    before = repository.git("rev-parse", "HEAD").strip()
    repository.dvc("add", "photos")
    repository.commit()
    yield repository
    repository.git("reset", "--quiet", "--hard", before)


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """An S3 server on this machine with an empty bucket: its address, and the environment in which it is reached."""
    boto3 = pytest.importorskip("boto3", reason=MISSING)
    pytest.importorskip("dvc_s3", reason=MISSING)
    pytest.importorskip("moto", reason=MISSING)
    from moto.server import ThreadedMotoServer

    (tmp_path / "aws").touch()  # in place of what this machine's user may have
    account = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
    yield address, account
    server.stop()


def share(repository: Repository, folder, contents, remote: str, place: str, endpoint: str = "", **account: str):
    """Push from ``repository`` and pull into a clone in ``folder``; see that all is there and nothing is left to do."""
    (add, push), (pull, repro) = commands_of_the_docs(remote)
    repository.dvc(*re.sub(remote, place, add).split())
    repository.commit()
    clone = repository.clone(folder / "clone")
    for each in (repository, clone):
        if endpoint:
            each.dvc("remote", "modify", "--local", "shared", "endpointurl", endpoint)
    try:
        repository.dvc(*push.split(), **account)
    finally:
        (repository.root / ".dvc/config.local").unlink(missing_ok=True)
        repository.git("reset", "--quiet", "--hard", "HEAD~1")
    assert not (clone.root / f"models/{FINETUNE}.keras").exists()

    clone.dvc(*pull.split(), **account)
    (folder / "records").mkdir()
    done = clone.dvc(*repro.split(), **account, **recording(folder / "records"))
    assert stages_run(done.stdout) == set()
    assert "Data and pipelines are up to date." in done.stdout
    assert read_records(folder / "records") == {}, "a stage was started"
    for last in ("evaluate", "export"):  # evaluate has no run cache: its outputs come from Git alone
        assert clone.dvc("status", "--with-deps", last).stdout.strip() == "Data and pipelines are up to date."
    assert clone.git("status", "--porcelain") == ""

    places = ["data", "metrics", "models", "photos", "plots"]
    theirs, ours = (
        {name: content for name, content in contents(each.root).items() if is_within(name, places)}
        for each in (clone, repository)
    )
    assert {f"models/{FINETUNE}.keras", "models/exported/best.onnx", "plots/report.html"} <= theirs.keys()
    assert [name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)] == []
    shutil.rmtree(folder)  # it has all the models twice


def test_what_is_pushed_to_a_folder_is_all_that_another_clone_needs(repository, tmp_path, contents):
    share(repository, tmp_path, contents, "/mnt/team/dogs", str(tmp_path / "remote"))


def test_what_is_pushed_to_s3_is_all_that_another_clone_needs(repository, tmp_path, contents, s3):
    endpoint, account = s3
    share(repository, tmp_path, contents, "s3://BUCKET/dogs", f"s3://{BUCKET}/dogs", endpoint, **account)
