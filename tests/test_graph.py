"""dvc.yaml and data/dvc.yaml say what is so, as far as one can tell without running anything."""

import ast
import hashlib
import re
from pathlib import Path

import pytest
import seaborn as sns
import yaml
from pipeline_fixtures import ROOT, is_within, read_stages

from stages.export import FORMATS
from stages.lib.core.models import MODELS

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = read_stages(ROOT, PARAMS)
ARCHIVE = "stanford_dogs_archive"  # declares no deps, so that no change of code downloads 794 MB again
TEMPLATES = {"evaluate": {"stages/lib/report.html.jinja"}}  # what a stage's modules read beside them
COMMANDS = {"stages/app.py", "stages/predict.py", "stages/tune.py"}  # of a person's, beside the graph
NO_STAGES = {*COMMANDS, "stages/__init__.py", "stages/sources/__init__.py"}

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").rglob("*.py"))
SCRIPTS = [module for module in MODULES if not module.startswith("stages/lib/") and module not in NO_STAGES]


def imported(module: str) -> set[str]:
    """The modules of ours that a module imports itself, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import, which this test does not follow"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.replace(".", "/") + ".py" for name in names} & set(MODULES)


def imported_by_way_of_others(module: str) -> set[str]:
    found, todo = set(), [module]
    while todo:
        new = imported(todo.pop()) - found
        found |= new
        todo += new
    return found


def all_outs() -> dict[str, bool]:
    return {path: cached for stage in STAGES.values() for path, cached in stage.outs.items()}


def all_plots() -> list[tuple[set[str], dict]]:
    """The files and the settings of each plot: those of single files at their stages, those of several at the top."""
    plots = []
    for stage in GRAPH["stages"].values():
        for plot in stage.get("plots", []):
            path, settings = next(iter(plot.items()))
            variants = stage.get("matrix", {}).get("variant", [""])
            plots += [({path.replace("${item.variant}", variant)}, settings) for variant in variants]
    for plot in GRAPH["plots"]:
        (settings,) = plot.values()
        plots.append((set(settings["y"]), settings))
    return plots


def has_key(key: str) -> bool:
    found = PARAMS
    for name in key.split("."):
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


@pytest.mark.parametrize("name", sorted(set(STAGES) - {ARCHIVE}))
def test_a_stage_depends_on_its_script_and_on_exactly_the_modules_that_it_imports(name):
    stage = STAGES[name]
    declared = [dep for dep in stage.deps if dep.startswith("stages/")]
    expected = {stage.script} | imported_by_way_of_others(stage.script) | TEMPLATES.get(name, set())
    assert sorted(declared) == sorted(expected)


def test_the_download_of_the_archive_has_no_deps_so_that_a_change_of_code_does_not_repeat_it():
    assert STAGES[ARCHIVE].deps == []


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_described_in_one_line(name):
    assert STAGES[name].desc.strip()
    assert "\n" not in STAGES[name].desc


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_run_as_a_module_and_may_have_its_variant_as_argument(name):
    command = STAGES[name].command.split()
    assert command[:2] == ["python", "-m"]
    assert command[3:] == name.split("@")[1:]


def test_each_script_is_a_stage_and_each_stage_a_script():
    assert sorted({stage.script for stage in STAGES.values()}) == SCRIPTS


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_a_stage(module):
    assert not imported(module) & {*SCRIPTS, *COMMANDS}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_no_parameter_that_is_not_in_params_yaml(name):
    assert [key for key in STAGES[name].params if not has_key(key)] == []


def test_sources_are_run_from_the_root_like_all_others():
    sources = yaml.safe_load((ROOT / "data/dvc.yaml").read_text())["stages"]
    assert {stage["wdir"] for stage in sources.values()} == {".."}


def test_dvc_keeps_data_and_models_and_git_keeps_metrics_and_plots():
    assert all(cached == is_within(path, ["data", "models"]) for path, cached in all_outs().items())
    assert all(is_within(path, ["data", "models", "metrics", "plots"]) for path in all_outs())


def test_the_five_models_are_the_ones_that_the_graph_makes():
    models = {path for path in all_outs() if is_within(path, ["models"])}
    assert models == {*(f"models/{model}.keras" for model in MODELS), "models/exported"}


def test_evaluate_alone_may_open_the_test_photos_and_export_when_all_is_chosen():
    opened = {name for name, stage in STAGES.items() if {"data/prepared", "data/prepared/test"} & set(stage.deps)}
    assert opened == {"evaluate", "export"}
    assert "metrics/evaluate.json" in STAGES["export"].deps, "or it would not wait for evaluate"
    later = [name for name, stage in STAGES.items() if set(STAGES["export"].outs) & set(stage.deps)]
    assert later == [], "what the export tells of the test photos would steer something"


def test_each_artifact_of_the_registry_is_a_file_that_export_writes():
    described = GRAPH["artifacts"]
    written = {f"models/exported/{each.file}" for each in FORMATS.values()}
    assert {each["path"] for each in described.values()} == written
    assert written == {path for path in written if is_within(path, STAGES["export"].outs)}
    assert all(each["type"] == "model" and each["desc"] and each["labels"] for each in described.values())


@pytest.mark.parametrize("lock", ["dvc.lock", "data/dvc.lock"])
def test_lock_is_in_step_with_the_code_that_git_keeps(lock):
    locked = yaml.safe_load((ROOT / lock).read_text())["stages"]
    assert set(locked) <= set(STAGES)
    for name, stage in locked.items():
        files = {dep["path"]: dep["md5"] for dep in stage["deps"] if dep["path"].startswith("stages/")}
        files |= {out["path"]: out["md5"] for out in stage["outs"] if not STAGES[name].outs[out["path"]]}
        files = {path: md5 for path, md5 in files.items() if not md5.endswith(".dir")}
        assert sorted(files) == sorted(path for path in files if (ROOT / path).is_file())
        assert {path: hashlib.md5((ROOT / path).read_bytes()).hexdigest() for path in files} == files


def test_nothing_keeps_dvc_from_restoring_results_when_one_goes_back_to_earlier_params():
    # DVC's run cache leaves out stages that have an output outside its cache, metrics and plots excepted
    without = {
        name for name, stage in GRAPH["stages"].items() if any(isinstance(out, dict) for out in stage.get("outs", []))
    }
    assert without == {"evaluate"}, "DVC would take its report for a plot that it can't read"


def test_a_plot_shows_what_a_stage_makes():
    assert [files for files, _ in all_plots() if not files or not files <= set(all_outs())] == []


def test_a_plot_of_the_training_has_a_line_for_each_of_the_five_models():
    histories = {f"plots/history/{model}.csv" for model in MODELS}
    curves = [settings["title"] for files, settings in all_plots() if files == histories]
    assert curves == [f"{what} (${{data.source}})" for what in ("Accuracy on val", "Loss on val", "Loss on train")]


def test_the_confusion_matrices_of_all_models_are_one_plot_of_a_small_table():
    # DVC puts all columns of a plot's file into its page, and the predictions have one a breed
    confusions = [files for files, settings in all_plots() if settings.get("template") == "confusions"]
    assert confusions == [{"plots/confusion.csv"}]
    assert [files for files, _ in all_plots() if any("predictions" in file for file in files)] == []


def test_a_plot_is_drawn_by_a_template_of_dvcs_or_of_ours():
    ours = {path.stem for path in (ROOT / ".dvc/plots").glob("*.json")}
    named = {settings["template"] for _, settings in all_plots() if "template" in settings}
    assert named - {"simple", "scatter"} == ours


def test_the_templates_know_the_five_models_by_the_colours_of_the_charts():
    colours = [
        f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}" for r, g, b in sns.color_palette("colorblind")
    ]
    for template in (ROOT / ".dvc/plots").glob("*.json"):
        text = template.read_text()
        named = re.findall("#[0-9a-f]{6}", text.replace("#888888", ""))
        if template.stem == "class_balance":
            assert named == colours[:3], "a colour a split"
            continue
        assert [model for model in MODELS if f'"{model}"' not in text] == []
        assert named == (colours[:5] if template.stem != "confusions" else []), "which has a panel a model"


def test_dvc_plots_shows_every_picture_that_git_keeps():
    pictures = {path for path in all_outs() if Path(path).suffix in {".png", ".jpg"}}
    assert pictures - {file for files, _ in all_plots() for file in files} == set()
