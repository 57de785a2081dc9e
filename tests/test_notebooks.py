"""notebooks/: run from top to bottom on what the pipeline wrote, whatever photos and backbones it had.

Needs requirements/notebooks.txt, and is skipped without.
"""

import ast
import json
import re
import shutil

import pandas as pd
import pytest
from pipeline_fixtures import ROOT

FOLDER = ROOT / "notebooks"
LANGUAGES = ("analysis", "analyse")  # English and French
CELLS = {name: json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"] for name in LANGUAGES}


def sources(name, kind):
    return ["".join(cell["source"]) for cell in CELLS[name] if cell["cell_type"] == kind]


class WithoutWords(ast.NodeTransformer):
    """What is said in strings differs from language to language, but not what is read or computed."""

    def visit_Constant(self, node):
        is_words = isinstance(node.value, str) and not re.fullmatch(r"[\w./{}-]+(\.\w+|_\w+)", node.value)
        return ast.Constant("words") if is_words else node


def test_both_languages_have_the_same_code_but_for_their_words():
    code = {name: [ast.dump(WithoutWords().visit(ast.parse(cell))) for cell in sources(name, "code")] for name in CELLS}
    assert code["analysis"] == code["analyse"]
    kinds = {name: [cell["cell_type"] for cell in cells] for name, cells in CELLS.items()}
    assert kinds["analysis"] == kinds["analyse"]


@pytest.mark.parametrize("name", LANGUAGES)
def test_git_keeps_no_output_of_a_notebook(name):
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS[name] if "outputs" in cell)
    assert "entry: nbstripout}" in (ROOT / ".pre-commit-config.yaml").read_text()


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_links_of_a_notebook_lead_somewhere_and_its_cells_are_short(name):
    links = [link for text in sources(name, "markdown") for link in re.findall(r"\]\(([^)#]+)", text)]
    assert links and all((FOLDER / link).exists() for link in links)
    assert max(len(cell.splitlines()) for cell in sources(name, "code")) <= 25


def execute(name, folder):
    """Run a notebook in ``folder``/notebooks; return what its cells printed."""
    nbclient = pytest.importorskip("nbclient", reason="Jupyter is not here: pip install -r requirements/notebooks.txt")
    import nbformat

    (folder / "notebooks").mkdir(exist_ok=True)
    book = nbformat.reads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"), as_version=4)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder / "notebooks")}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return "".join(output.get("text", "") for output in outputs), pictures


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}


@pytest.fixture(scope="module")
def results(first_run, tmp_path_factory):
    """What a notebook reads of a run on three breeds with one backbone."""
    repository, _, _ = first_run
    folder = tmp_path_factory.mktemp("results")
    for name in ("metrics", "plots", "data/prepared"):
        shutil.copytree(repository.root / name, folder / name)
    shutil.copyfile(repository.root / "params.yaml", folder / "params.yaml")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGES)
def test_a_notebook_reads_any_photos_and_backbones_and_changes_nothing(name, results):
    before = contents(results)
    printed, pictures = execute(name, results)
    accuracies = re.search(r"(0\.\d{3}|1\.000), metrics/evaluate\.json (0\.\d{3}|1\.000)", printed)
    assert accuracies[1] == accuracies[2]
    assert pictures >= 9
    assert contents(results) == before


@pytest.mark.slow
def test_a_notebook_goes_through_where_there_is_no_error_no_doubt_and_nothing_unknown(results, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    for file in (folder / "plots/predictions").iterdir():
        answers = pd.read_csv(file)
        answers.assign(predicted=answers["actual"]).to_csv(file, index=False)
    for file, which in (("suspicious_labels", "photo != photo"), ("familiarity", "split == 'test'")):
        pd.read_csv(folder / f"plots/{file}.csv").query(which).to_csv(folder / f"plots/{file}.csv", index=False)
    printed, _ = execute("analysis", folder)
    assert "no error at all" in printed and "none" in printed


@pytest.mark.slow
def test_a_notebook_says_what_to_do_before_there_are_results(tmp_path):
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    with pytest.raises(Exception, match="say `dvc repro` first"):
        execute("analysis", tmp_path)
