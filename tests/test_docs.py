"""README.md, CONTRIBUTING.md and docs/: their commands are run by somebody, and what they name is there."""

import itertools
import re
import shlex
import shutil
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from pipeline_fixtures import ROOT, Repository, Stage, copy_definition, read_stages
from test_graph import ALL, GRAPH, PARAMS, RERUN, STAGES, after, may_run_again, read_by

from stages import app, label_next, predict, review, tune, web
from stages.lib.core.params import load_params

DOCS = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "README.fr.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in DOCS)]
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
# what a page may mean by each; weights of both kinds are there for VGG16
PLACEHOLDERS = {
    **dict.fromkeys(("<b>", "<backbone>"), PARAMS["backbones"]),
    "<model>": load_params(ROOT / "params.yaml").models,
    "<network>": ["VGG16"],
}
PROGRAMS = "dvc|git|lint-imports|mypy|pip|pre-commit|pytest|python|python3|ray|ruff|unzip"

# Who runs the commands: in which file, by which words one can see it there, and patterns of the commands.
RUN_BY = [
    (
        (".ci/run", "follow_readme 1"),
        [r"python3 -m venv \.venv", r"\. \.venv/bin/activate", r"pip install -r requirements\.txt", "dvc repro"],
    ),
    ((".ci/run", "follow_readme 2"), ["pytest"]),
    ((".ci/run", '-m "slow or not slow"'), [r'pytest -m "slow or not slow"( tests/test_distribution\.py)?']),
    ((".ci/run", "python3 -m venv .venv-app"), [r"python3 -m venv \.venv-app"]),
    ((".ci/run", "-r requirements/app.txt"), [r"\.venv-app/bin/pip install -r requirements/app\.txt"]),
    ((".ci/run", "-r requirements/ray.txt"), [r"pip install -r requirements/ray\.txt"]),
    ((".ci/run", "-r requirements/remotes.txt"), [r"pip install -r requirements/remotes\.txt"]),
    ((".ci/run", "-r requirements/notebooks.txt"), [r"pip install -r requirements/notebooks\.txt"]),
    ((".ci/run", 'git clone --quiet "$repository" "$clone"'), ["git clone ADDRESS dog-breeds", "cd dog-breeds"]),
    ((".ci/run", "-r requirements/dev.txt"), [r"pip install -r requirements/dev\.txt"]),
    ((".ci/run", "pre-commit run --all-files"), ["pre-commit run --all-files"]),
    ((".pre-commit-config.yaml", "ruff check"), ["ruff check", "ruff format", "mypy", "lint-imports"]),
    (("tests/test_killed.py", '"repro", *targets'), ["dvc repro (view_features|prepare|STAGE)"]),
    (("tests/test_notebooks.py", "NotebookClient("), [r"jupyter lab notebooks/(analysis|analyse)\.ipynb"]),
    (("tests/test_faults.py", '"--photos"'), [r"python -m benchmarks\.faults --photos photos( --only \w+)?"]),
    (
        ("tests/test_real_photographs.py", "EfficientNetLite2_transfer_plain"),
        [
            "dvc repro transfer@EfficientNetLite2-plain",
            r"python -m stages\.predict my_dog\.jpg --model EfficientNetLite2_transfer_plain",
        ],
    ),
    (
        ("tests/test_pipeline.py", '"exp", "run", *changed'),
        ["dvc exp run", r"dvc exp run -S (finetune|train_scratch|evaluate)\.\w+=\S+"],
    ),
    (("tests/test_pipeline.py", '"params", "diff"'), ["dvc (metrics|params|plots) diff"]),
    (("tests/test_pipeline.py", '"metrics", "show"'), ["dvc metrics show"]),
    (("tests/test_pipeline.py", '"plots", "show"'), ["dvc plots show"]),
    (
        ("tests/test_pipeline.py", "predict.main"),
        [
            r"python -m stages\.predict( my_dog\.jpg| data/sample/Cairn/cairn_000\.jpg)?",
            r"python -m stages\.predict holidays/ --model VGG16_transfer_plain --json",
        ],
    ),
    (("tests/pipeline_fixtures.py", '"checkout", "--with-deps"'), ["dvc (status|checkout)"]),
    (("tests/pipeline_fixtures.py", '"commit"'), ["git commit -am Before"]),
    (("tests/pipeline_fixtures.py", '"reset"'), [r"git checkout params\.yaml"]),
    (
        ("tests/test_docs.py", "def test_an_experiment_of_a_page_"),
        [r"dvc exp run( -S ([~+]?backbones\.\S+|(data\.(source|resize|duplicate_distance)|seed)=\S+))+"],
    ),
    (
        ("tests/test_docs.py", "def test_a_queue_of_experiments_"),
        ["dvc exp run --queue -S .*", "dvc queue .*", "dvc exp show .*", "dvc exp apply NAME"],
    ),
    (
        ("tests/test_export.py", '"--model"'),
        [r"python -m stages\.predict my_dog\.jpg --model models/exported/best\.onnx"],
    ),
    (("tests/test_export.py", "to_any_unzip"), [r"unzip -p models/exported/best\.tflite metadata\.json"]),
    (
        ("tests/test_export.py", '"artifacts", "get"'),
        ["git tag .*", r"cd \.\./another_project", "dvc artifacts get .*"],
    ),
    (("tests/test_app.py", '"stages.app"'), [r"\.venv-app/bin/python -m stages\.app"]),
    (
        ("tests/test_review.py", '"stages.review"'),
        [r"\.venv-app/bin/python -m stages\.review( --(errors|test|into photos))?"],
    ),
    (("tests/test_label_next.py", "label_next.main"), [r"python -m stages\.label_next new_photos"]),
    (("tests/test_web.py", "web.main"), [r"python -m stages\.web page"]),
    (("tests/test_web.py", '"http.server", "--directory"'), [r"python -m http\.server --directory page"]),
    (("tests/test_tune.py", "tune.main"), [r"python -m stages\.tune transfer --trials \d+"]),
    (
        ("tests/test_remotes.py", "def share("),
        ["dvc remote (add|modify) .*", "dvc push", "dvc pull( -d export report)?", "dvc add photos"],
    ),
    (("tests/test_ray.py", '"get-auth-token", "--generate"'), ["ray get-auth-token --generate"]),
    (("tests/test_ray.py", '"start", *options'), ["export RAY_AUTH_MODE=token", "ray start .*"]),
    (("tests/test_ray.py", "set_engine(write_params"), [r"dvc exp run -S compute\.engine=ray"]),
]


class Command(NamedTuple):
    """A command of a page, without its comment."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def inline_code(page: str) -> list[str]:
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


def meant(text: str) -> list[str]:
    """What a text means that may have one of `PLACEHOLDERS`."""
    for placeholder, values in PLACEHOLDERS.items():
        if placeholder in text:
            return [text.replace(placeholder, value) for value in values]
    return [text]


def all_commands() -> list[Command]:
    """Every line of a block of commands, and every command within a sentence."""
    found = []
    for page in PAGES:
        lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]
        found += [Command(page, shlex.join(shlex.split(line, comments=True))) for line in lines]
        within = [code for code in inline_code(page) if re.match(rf"({PROGRAMS}) ", code) and "stages.NAME" not in code]
        found += [Command(page, shlex.join(shlex.split(code))) for code in within]
    return found


COMMANDS = all_commands()


def is_of(command: Command, patterns: list[str]) -> bool:
    text = " ".join(f'"{word}"' if word == "slow or not slow" else word for word in command.words)
    return any(re.fullmatch(pattern, text) for pattern in patterns)


# Commands


def test_every_command_is_run_by_a_test_or_by_ci():
    patterns = [pattern for _, patterns in RUN_BY for pattern in patterns]
    assert [command for command in COMMANDS if not is_of(command, patterns)] == []


def test_who_is_said_to_run_a_command_does():
    texts = {file: (ROOT / file).read_text() for (file, _), _ in RUN_BY if (ROOT / file).is_file()}
    assert [who for who, _ in RUN_BY if who[1] not in texts.get(who[0], "")] == []


def test_nobody_is_said_to_run_a_command_that_no_page_has():
    patterns = [pattern for _, patterns in RUN_BY for pattern in patterns]
    assert [pattern for pattern in patterns if not any(is_of(command, [pattern]) for command in COMMANDS)] == []


def test_the_two_commands_of_the_readme_are_where_ci_takes_them_from():
    section = TEXTS["README.md"].partition("\n## The two commands\n")[2].partition("\n## ")[0]
    ends = [block.splitlines()[-1] for block in re.findall(r"^```bash\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)]
    assert ends == ["dvc repro", "pytest"]


OURS = {"app": app, "label_next": label_next, "predict": predict, "review": review, "tune": tune, "web": web}


@pytest.mark.parametrize("command", [each for each in COMMANDS if "-m stages." in each.text], ids=str)
def test_a_command_of_ours_has_the_options_that_a_page_gives_it(command, monkeypatch):
    _, module, *arguments = command.words[command.words.index("-m") :]
    if module == "stages.predict" and not arguments:
        return  # its name alone
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    OURS[module.removeprefix("stages.")].parse_arguments()


def test_dvc_has_the_options_and_the_stages_that_the_pages_give_it():
    stages = {*GRAPH["stages"], *STAGES, "STAGE", "photos"}
    for command in COMMANDS:
        if command.words[0] == "dvc":
            arguments = get_main_parser().parse_args(command.words[1:])
            targets = getattr(arguments, "targets", None) or []
            assert [target for target in targets if target not in stages] == [], command


def read_overridden(folder: Path, overrides: list[str]) -> dict[str, Stage]:
    """The stages of the pipeline in ``folder`` with the params that `dvc exp run -S` makes of ``overrides``."""
    copy_definition(folder)
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    apply_overrides(folder / "params.yaml", overrides)
    Repo.init(str(folder), no_scm=True, force=True)
    return read_stages(folder)


EXPERIMENTS = [each for each in COMMANDS if each.text.startswith("dvc exp run -S") and "..." not in each.text]


@pytest.mark.parametrize("command", EXPERIMENTS, ids=str)
def test_an_experiment_of_a_page_has_valid_parameters_and_a_source_for_each_path(command, tmp_path):
    overrides = [word for before, word in itertools.pairwise(command.words) if before == "-S"]
    made = {out for stage in read_overridden(tmp_path, overrides).values() for out in stage.outs}
    params = load_params(tmp_path / "params.yaml")
    paths = {params.data.source, params.data.unknown, *(backbone.weights for backbone in params.backbones.values())}
    assert paths - {"PATH_TO_THE_FIVE_FOLDERS"} <= made


def test_a_network_as_the_readme_adds_it_makes_three_models_by_its_own_stages_and_those_that_compare(tmp_path):
    (block,) = blocks("README.md", "yaml")
    ((name, section),) = yaml.safe_load(block).items()
    settings = ",".join(f"{key}:{value}" for key, value in section.items())
    stages = read_overridden(tmp_path, [f"+backbones.{name}={{{settings}}}"])
    assert len(load_params(tmp_path / "params.yaml").models) == len(PLACEHOLDERS["<model>"]) + 3
    own = {stage.partition("@")[0] for stage in set(stages) - set(STAGES)}
    compare = may_run_again(STAGES, "backbones", read_by(STAGES, "backbones"))
    readme, experiments = (
        {changed: set(re.findall(r"\w+", cell)) & {*GRAPH["stages"]} for changed, cell in reruns(page)}
        for page in ("README.md", "docs/experiments.md")
    )
    assert experiments["a section of `backbones` less"] == compare
    assert readme["a backbone more"] == experiments["a section of `backbones` more"] == own | compare


@pytest.mark.slow
def test_a_queue_of_experiments_is_shown_and_taken_over_by_the_commands_of_the_page(tmp_path):
    """In a pipeline of one stage that trains nothing."""
    repository = Repository(tmp_path)
    (tmp_path / "stages/__init__.py").write_text("")
    (tmp_path / "stages/score.py").write_text(
        "import json, pathlib, yaml\n"
        "dropout = yaml.safe_load(pathlib.Path('params.yaml').read_text())['transfer']['dropout']\n"
        "for name in ('val', 'test'):\n"
        "    pathlib.Path(f'metrics/{name}').mkdir(parents=True, exist_ok=True)\n"
        "    pathlib.Path(f'metrics/{name}/it.json').write_text(json.dumps({'accuracy': dropout, 'ece': 0}))\n"
    )
    metrics = [{f"metrics/{name}/it.json": {"cache": False}} for name in ("val", "test")]
    stage = {"cmd": "python -m stages.score", "params": ["transfer.dropout"], "metrics": metrics}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"score": stage}}))
    (tmp_path / "data/dvc.yaml").unlink()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    repository.dvc("repro")
    repository.commit()

    queue, start, status, show = (
        next(each.words[1:] for each in COMMANDS if each.text.startswith(beginning))
        for beginning in ("dvc exp run --queue", "dvc queue start", "dvc queue status", "dvc exp show")
    )
    try:
        repository.dvc(*queue)
        repository.start_workers(*start)
        deadline = time.monotonic() + 300
        while (said := repository.dvc(*status).stdout).count("Success") < 2:
            assert "Failed" not in said
            assert time.monotonic() < deadline, said
            time.sleep(1)
    finally:
        repository.stop_workers()
    table = repository.dvc(*show).stdout
    head = next(line for line in table.splitlines() if "Experiment" in line)
    assert "val/it.json:accuracy" in head.replace("metrics/", "")
    assert [word for word in ("test", "ece", "State", "Created") if word in head] == []
    assert "0.2" in table
    wanted = re.search(r"\[([\w-]+)\][^\n]* 0\.2 ", table)
    repository.dvc("exp", "apply", wanted[1])
    assert repository.json("metrics/val/it.json")["accuracy"] == 0.2
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["transfer"]["dropout"] == 0.2


def test_the_one_snippet_of_python_is_in_the_page_that_its_test_reads():
    assert [page for page in PAGES for _ in blocks(page, "python")] == ["docs/serving.md"]
    assert '"docs/serving.md"' in (ROOT / "tests/test_export.py").read_text()


# In French


@pytest.mark.parametrize("page", ["docs/first-hour.fr.md"])
def test_a_page_in_french_has_the_commands_of_the_english_one_and_its_links(page):
    english = page.replace(".fr.md", ".md")

    def in_english(text: str) -> str:
        return text.replace("analyse.ipynb", "analysis.ipynb")

    assert [in_english(block) for block in blocks(page, "bash")] == blocks(english, "bash")
    assert len(re.findall(r"^## \d+\. ", TEXTS[page], re.MULTILINE)) == 10
    links = {each: set(re.findall(r"\]\((?!first-hour)([^)]+)\)", TEXTS[each])) for each in (page, english)}
    assert links[page] == links[english]


def test_the_readme_in_french_has_the_two_commands_of_the_english_one_and_no_other_that_it_has_not():
    french, english = blocks("README.fr.md", "bash"), blocks("README.md", "bash")
    assert french[:2] == english[:2]
    lines = {line for block in english for line in block.splitlines()}
    assert [line for block in french for line in block.splitlines() if line not in lines] == []
    assert len(TEXTS["README.fr.md"].splitlines()) <= 60


# What runs again


def keys(cell: str) -> set[str]:
    """The keys of params.yaml that a cell names, as `data.*` but `data.stanford_dogs_breeds`."""

    def matching(names: list[str]) -> set[str]:
        patterns = [re.escape(each).replace(r"\*", r"\w+") for name in names for each in meant(name)]
        return {key for key in RERUN if any(re.fullmatch(pattern, key) for pattern in patterns)}

    return matching(re.findall(r"`([\w.*<>]+)`", cell)) - matching(re.findall(r"but `([\w.*<>]+)`", cell))


def stages_named(cell: str, key: str) -> set[str]:
    """The stages that a cell names for a parameter; of one of `backbones`, `<b>` is that one, else any."""
    if cell.startswith("all"):
        return ALL - set(re.findall(r"\w+", cell.partition(" but ")[2]))
    backbone = key.split(".")[1] if key.startswith("backbones.") else r"[\w-]+"
    cell, _, of_main = cell.partition("; of `main_backbone` also ")
    if of_main and backbone == PARAMS["main_backbone"]:
        cell = f"{cell}, {of_main}"
    cell = cell.replace("*the end*", "evaluate, explain, report, convert, export").replace("<b>", backbone)
    names = re.sub(r", which .*", "", cell).split(", ")
    found = {name: {stage for stage in ALL if re.fullmatch(f"{name}([@-].+)?", stage)} for name in names}
    assert [name for name in names if not found[name]] == []
    return set().union(*found.values())


def reruns(page: str) -> list[tuple[str, str]]:
    """The rows of the page's table."""
    table = TEXTS[page].partition("| you change | these stages run |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return [tuple(cell.strip(" |") for cell in line.split(" | ")) for line in table.splitlines()]


def test_what_the_docs_say_runs_again_is_what_the_graph_says_for_every_parameter():
    rows = reruns("docs/experiments.md")
    said = {key: stages_named(stages, key) for changed, stages in rows for key in keys(changed)}
    assert said == RERUN


def test_what_the_readme_says_runs_again_is_what_the_docs_say():
    said = {key: stages for changed, stages in reruns("README.md") for key in keys(changed)}
    assert len(said) == 5
    of_prepare = {"prepare", *after("prepare")}
    found = {key: of_prepare if "all that" in stages else stages_named(stages, key) for key, stages in said.items()}
    assert found == {key: RERUN[key] for key in said}


# What is named is there


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, "benchmarks/README.md", "tests/README.md"])
def test_the_links_of_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match("https?:", link)]
    lost = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in slugs(target.read_text(encoding="utf-8"))):
            lost.append(link)
    assert lost == []


NOT_KEPT = {"photos", "photos.dvc", "tuning", ".venv", "stages/NAME.py", "models/<best>.keras", "~/.ray/auth_token"}
NOT_KEPT |= {
    "metadata.json",
    "labels.txt",
    "best.onnx",
    "best.tflite",
    "best-float16.tflite",
    "best-int8.tflite",
    "data/stanford_dogs",
}
NOT_KEPT |= {"label_next/photos.csv"}
SUFFIXES = "csv|html|jinja|jpg|json|keras|lock|md|onnx|png|py|tflite|toml|txt|yaml"


def paths_named(page: str) -> set[str]:
    """Files and folders that a page names, in a sentence or at the beginning of a line of a tree."""
    tree = [line.split("  ")[0] for block in blocks(page, "") for line in block.splitlines()]
    named = {code.rstrip("/") for code in (*inline_code(page), *tree)}
    paths = {name for name in named if re.fullmatch(rf"[\w.<>~*/-]+(/[\w.<>*-]+|\.({SUFFIXES}))", name)}
    return {name for name in paths if "." in name or name.split("/")[0] in TOP}


TOP = {path.name for path in ROOT.iterdir()} | {"core", "networks"}


def is_there(name: str, outs: set[str]) -> bool:
    places = (ROOT, ROOT / "stages/lib")
    if "*" in name:
        return any(ROOT.glob(name))
    if any((place / name).exists() for place in places):
        return True
    below = [out for out in outs if f"{out}/".startswith(f"{name}/") or f"{name}/".startswith(f"{out}/")]
    return bool(below)


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_are_there_or_made_by_a_stage(page):
    outs = {out for stage in STAGES.values() for out in stage.outs}
    named = paths_named(page) - NOT_KEPT
    assert [name for name in named if not all(is_there(path, outs) for path in meant(name))] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_parameters_that_a_page_names_are_in_params_yaml(page):
    sections = "|".join(key for key, value in PARAMS.items() if isinstance(value, dict))
    codes = [code for code in inline_code(page) if re.match(rf"({sections})\.[\w.*<>]+(:|$)", code)]
    named = {name for code in codes for name in meant(code.partition(":")[0])} - {"evaluate.py"}
    known = {*RERUN, *PARAMS, *(f"backbones.{name}" for name in PARAMS["backbones"])}
    assert [name for name in named if name.removesuffix(".*") not in known] == []


def test_the_readme_has_a_line_for_each_package_and_contributing_has_their_order():
    packages = {path.name for path in (ROOT / "stages/lib").iterdir() if (path / "__init__.py").exists()}
    section = TEXTS["README.md"].partition("\n| package | what is in it |\n")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(packages)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == ["stages.lib"])
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", TEXTS["CONTRIBUTING.md"], re.MULTILINE)
    assert [sorted(re.findall(r"\w+", row)) for row in rows] == [sorted(layer.split(" | ")) for layer in layers]


def test_the_readme_is_short_and_names_every_page():
    assert len(TEXTS["README.md"].splitlines()) <= 200
    assert [page for page in PAGES if page != "README.md" and f"({page})" not in TEXTS["README.md"]] == []
