"""The graph as dvc.yaml declares it, a small repository to run it in, and a recorder of what its stages really do."""

import copy
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEFINITION = (
    "stages", "dvc.yaml", "data/dvc.yaml", "data/label_fixes.csv", ".gitignore", "data/.gitignore", "models/.gitignore",
    ".dvc/config", ".dvc/.gitignore", ".dvc/plots", ".dvcignore",
)  # fmt: skip
RECORDS = "PIPELINE_RECORDS"  # environment variable: the folder that `record_stage` writes to


class Stage(NamedTuple):
    """A stage as DVC reads it, one for each member of a matrix; paths are relative to the repository."""

    desc: str
    command: str
    deps: list[str]
    params: list[str]  # of params.yaml
    keys: dict[str, list[str]]  # of other files, by their path
    outs: dict[str, bool]  # and whether DVC caches them; Git keeps the others
    plots: dict[str, dict]  # of the outputs that are plots, their settings

    @property
    def script(self) -> str:
        return self.command.split()[2].replace(".", "/") + ".py"

    @property
    def record(self) -> str:
        return self.command.removeprefix("python -m stages.").replace(" ", "@")


def read_stages(root: Path) -> dict[str, Stage]:
    """The stages of dvc.yaml and data/dvc.yaml by name, as "train_scratch@plain", with their templating filled in."""
    from dvc.dependency import ParamsDependency  # here, because `record_stage` shall not make a stage slower than it is
    from dvc.repo import Repo

    def place(each) -> str:
        path = Path(each.fs_path)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else each.def_path

    stages = {}
    with Repo(root) as repo:
        for stage in repo.index.stages:
            keys = {place(dep): list(dep.params) for dep in stage.deps if isinstance(dep, ParamsDependency)}
            stages[stage.name] = Stage(
                stage.desc or "",
                stage.cmd,
                [place(dep) for dep in stage.deps if not isinstance(dep, ParamsDependency)],
                keys.pop("params.yaml", []),
                keys,
                {place(out): out.use_cache for out in stage.outs},
                {place(out): out.plot if isinstance(out.plot, dict) else {} for out in stage.outs if out.plot},
            )
    return stages


def read_params(**changes: object) -> dict:
    """The repository's params.yaml, with ``**{"section.key": value}`` changed."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, value in changes.items():
        *sections, key = name.split(".")
        functools.reduce(dict.__getitem__, sections, params)[key] = value
    return params


def all_keys(section: dict, prefix: str = "") -> list[str]:
    """The parameters of a section of params.yaml, such as "data.source"."""
    keys = []
    for name, value in section.items():
        keys += all_keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return keys


def is_meant(key: str, declared: str) -> bool:
    """Whether a parameter is meant by its own name or by that of a section that it is in."""
    return key == declared or key.startswith(f"{declared}.")


def is_within(path: str, places: list[str] | set[str]) -> bool:
    """Whether ``path`` is one of ``places`` or below one."""
    return any(Path(path).is_relative_to(place) for place in places)


def copy_definition(root: Path) -> None:
    """Copy all that makes the pipeline what it is, but for its parameters and photos."""
    for name in DEFINITION:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)


class Repository:
    """A Git and DVC repository of its own, and the commands that one gives in it, by ``python`` of some environment."""

    def __init__(self, root: Path, python: str = sys.executable):
        self.root, self._python = root, python
        people = {f"GIT_{role}_{what}": "tests" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_", "AWS_"))},
            **people,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        copy_definition(root)
        self.git("init", "--quiet")

    def clone(self, root: Path) -> "Repository":
        """What another person has after `git clone`: the last commit, and none of what DVC keeps."""
        self.git("clone", "--quiet", str(self.root), str(root))
        clone = copy.copy(self)
        clone.root = root
        return clone

    def run(self, *command: str, fails: bool = False, **environment: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment | environment, capture_output=True, text=True, timeout=1800
        )
        assert (done.returncode != 0) == fails, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def python(self, *arguments: str, fails: bool = False, **environment: str) -> subprocess.CompletedProcess:
        return self.run(self._python, *arguments, fails=fails, **environment)

    def dvc(self, *arguments: str, fails: bool = False, **environment: str) -> subprocess.CompletedProcess:
        return self.python("-m", "dvc", *arguments, fails=fails, **environment)

    def start_workers(self, *start: str) -> None:
        """`dvc queue start`, to no pipe: its workers keep theirs open, and a reader would wait for the last of them."""
        command = (self._python, "-m", "dvc", *start)
        subprocess.run(
            command, cwd=self.root, env=self.environment, check=True, timeout=300,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop_workers(self) -> None:
        """Whether any is left or not: one without work ends by itself after a minute or so."""
        subprocess.run(
            (self._python, "-m", "dvc", "queue", "stop", "--kill"),
            cwd=self.root, env=self.environment, capture_output=True, timeout=300,
        )  # fmt: skip

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "tests")

    def restore(self) -> None:
        """Go back to the last commit, with the data that belongs to it."""
        self.git("reset", "--quiet", "--hard")
        self.git("clean", "--quiet", "--force", "-dx", "data", "metrics", "models", "plots")
        # not all stages, as `dvc checkout` fails where there are sources that never ran
        self.dvc("checkout", "--with-deps", "export", "report")

    def json(self, path: str):
        return json.loads((self.root / path).read_text())


def stages_run(dvc_output: str) -> set[str]:
    """The names of the stages that `dvc repro` or `dvc exp run` says it ran."""
    return set(re.findall(r"^Running stage '(.*)':$", dvc_output, re.MULTILINE))


def recording(folder: Path) -> dict[str, str]:
    """The environment in which stages write down what they do in ``folder``, for `read_records`."""
    start = f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\n"
    (folder / "sitecustomize.py").write_text(f"{start}import pipeline_fixtures\npipeline_fixtures.record_stage()\n")
    return {"PYTHONPATH": str(folder), RECORDS: str(folder)}


def read_records(folder: Path) -> dict[str, dict[str, set[str]]]:
    """What each stage that ran "read", "written" (paths), and which "params" it asked for, by `Stage.record`."""
    records = {}
    for file in folder.glob("*.record"):
        records[file.stem] = {"read": set(), "written": set(), "params": set()}
        for line in file.open():
            what, name = json.loads(line)
            records[file.stem][what].add(name)
    return records


def record_stage() -> None:
    """In a process that runs a stage and those that it forks, write down what is opened and which parameters are read.

    `sys.addaudithook` sees what Python opens. It sees neither the pictures that TensorFlow reads (`tf.io.read_file`,
    in stages.lib.datasets.batches) nor the weights that h5py does; of the pictures it sees their folders being listed.
    Of parameters it sees those that are read before the fork, as sections reach another process as copies.
    """
    if sys.orig_argv[1:2] != ["-m"] or not sys.orig_argv[2].startswith("stages."):
        return
    record = "@".join([sys.orig_argv[2].removeprefix("stages."), *sys.orig_argv[3:]])
    # a line at once, as a process that was forked ends without `atexit`
    lines = os.open(Path(os.environ[RECORDS], f"{record}.record"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    seen = set()

    def note(what: str, name: str) -> None:
        line = json.dumps([what, name]) + "\n"
        if line not in seen:
            seen.add(line)
            os.write(lines, line.encode())

    record_params(functools.partial(note, "params"))

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        elif event == "os.scandir":
            path, writes = arguments[0], False
        elif event == "os.rename":
            path, writes = arguments[1], True
        else:
            return
        # os.path, because pathlib itself lists folders; what is not there is a name below an open folder's number
        if isinstance(path, str | os.PathLike) and (writes or os.path.exists(path)):  # noqa: PTH110
            note("written" if writes else "read", os.path.abspath(path))  # noqa: PTH100

    sys.addaudithook(hook)


def record_params(note: Callable[[str], None]) -> None:
    """Call ``note`` with each key of params.yaml that a stage asks for, such as "data.source"."""
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` will do, but later
    from stages.lib.core.params import Params, Section

    del sys.path[0]
    places = {}  # of sections, by id: they live as long as the process
    checking = False

    def get(section: Section, name: str):
        value = object.__getattribute__(section, name)
        if name in type(section).model_fields:
            place = "" if isinstance(section, Params) else places.get(id(section))
            if isinstance(value, Section):
                places[id(value)] = f"{name}."
            elif isinstance(value, dict):
                places.update({id(each): f"{name}.{key}." for key, each in value.items()})
            elif place is not None and not checking:  # None where a section is checked
                note(f"{place}{name}")
        return value

    copy_section = Section.model_copy

    def copy(section: Section, **changes: object) -> Section:
        copied = copy_section(section, **changes)
        places[id(copied)] = places.get(id(section))
        return copied

    validate = Params.model_validate

    def validate_unseen(content: dict) -> Params:
        nonlocal checking
        checking = True
        try:
            return validate(content)
        finally:
            checking = False

    Section.__getattribute__ = get
    Section.model_copy = copy
    Params.model_validate = validate_unseen


def write_shown(
    folder: Path, split: str, photos: Iterable[str], groups: Iterable[int] | None = None, views: Iterable[str] = ()
) -> None:
    """Write what the rows of an array of features show: ``photos``, then views of those in ``views``."""
    photos = list(photos)
    group = dict(zip(photos, range(len(photos)) if groups is None else groups, strict=True))
    rows = [
        (photo, photo.split("/")[0], group[photo], view) for view, each in enumerate((photos, views)) for photo in each
    ]
    table = pd.DataFrame(rows, columns=["photo", "breed", "group", "view"])
    table.astype({"view": bool}).to_csv(folder / f"{split}.csv", index=False)
