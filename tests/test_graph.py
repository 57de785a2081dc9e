import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import seaborn as sns
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from pipeline_fixtures import ROOT, all_keys, copy_definition, is_meant, is_within, read_params, read_stages

from stages.lib.core.models import SCRATCH_FAMILY, VARIANTS, list_families
from stages.lib.core.registry import OF_KERAS
from stages.lib.exporting.exported import FORMATS

PARAMS = read_params()
BACKBONES, MAIN = list(PARAMS["backbones"]), PARAMS["main_backbone"]
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = read_stages(ROOT)
OF_THE_BEST = ("explain", "convert")  # wait for evaluate to say which model that is
ARCHIVE = "stanford_dogs_archive"  # declares no deps, so that no change of code downloads 794 MB again
COMMANDS = {
    "stages/app.py",
    "stages/label_next.py",
    "stages/predict.py",
    "stages/review.py",
    "stages/tune.py",
    "stages/web.py",
}  # of a person's, beside the graph
NO_STAGES = {*COMMANDS, "stages/__init__.py", "stages/sources/__init__.py"}
SHARED = {
    f"stages/sources/{name}.py"
    for name in ("breeds", "coats", "download", "packages", "portraits", "pytorch_files", "scenery")
}  # and no stages themselves
TRAINING_STAGES = {name for name in STAGES if name.partition("@")[0] in {"train_scratch", "transfer", "finetune"}}

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").rglob("*.py"))
SCRIPTS = [module for module in MODULES if not module.startswith("stages/lib/") and module not in {*NO_STAGES, *SHARED}]


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


def texts(module: str) -> list[str]:
    """The strings in a module but for its docstrings, where a name may stand as an example."""
    tree = ast.parse((ROOT / module).read_text())
    described = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in described]
    return [node.value for node in constants if isinstance(node.value, str)]


def dependency(module: str) -> str:
    """What a stage that imports a module depends on: its package where it is of stages/lib, or the file itself."""
    return "/".join(module.split("/")[:3]) if module.startswith("stages/lib/") else module


def all_outs() -> dict[str, bool]:
    return {path: cached for stage in STAGES.values() for path, cached in stage.outs.items()}


def all_plots() -> list[tuple[set[str], dict]]:
    """The files and the settings of each plot: those of single files at their stages, those of several at the top."""
    plots = [({path}, settings) for stage in STAGES.values() for path, settings in stage.plots.items()]
    for plot in GRAPH["plots"]:
        (settings,) = plot.values()
        plots.append((set(settings["y"]), settings))
    return plots


def touches(one: str, other: str) -> bool:
    """Whether two paths are the same, or one of them is below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def after(name: str) -> set[str]:
    """The stages that wait for a stage, by way of others too."""
    found, todo = set(), [name]
    while todo:
        outs = STAGES[todo.pop()].outs
        new = {
            other
            for other, stage in STAGES.items()
            if any(touches(out, dep) for out in outs for dep in (*stage.deps, *stage.keys))
        }
        todo += new - found
        found |= new
    return found


def read_changed(folder: Path, **changes: object) -> dict[str, dict]:
    """The stages of the pipeline with other values for some keys of params.yaml."""
    copy_definition(folder)
    Repo.init(str(folder), no_scm=True, force=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(read_params(**changes)))
    return read_stages(folder)


def with_backbones(count: int) -> dict:
    """The changes of params.yaml for so many backbones."""
    names = [f"network-{number}" for number in range(count)]
    return {"backbones": dict.fromkeys(names, PARAMS["backbones"][MAIN]), "main_backbone": names[0]}


# What a stage depends on


@pytest.mark.parametrize("name", sorted(set(STAGES) - {ARCHIVE}))
def test_a_stage_depends_on_its_script_and_on_exactly_the_packages_that_it_imports(name):
    stage = STAGES[name]
    declared = [dep for dep in stage.deps if dep.startswith("stages/")]
    expected = {stage.script, *map(dependency, imported_by_way_of_others(stage.script))}
    assert sorted(declared) == sorted(expected)


def test_the_download_of_the_archive_has_no_deps_so_that_a_change_of_code_does_not_repeat_it():
    assert STAGES[ARCHIVE].deps == []


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_described_in_one_line(name):
    assert STAGES[name].desc.strip()
    assert "\n" not in STAGES[name].desc


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_run_as_a_module_with_what_it_runs_for_as_arguments(name):
    command = STAGES[name].command.split()
    assert command[:2] == ["python", "-m"]
    stage, _, runs_for = name.partition("@")
    said = {
        "features": f"{runs_for}-photos",
        "view_features": f"{runs_for}-views",
        "predictions_scratch": SCRATCH_FAMILY,
    }
    assert "-".join(command[3:]) == said.get(stage, runs_for)


def test_each_script_is_a_stage_and_each_stage_a_script():
    assert sorted({stage.script for stage in STAGES.values()}) == SCRIPTS


def test_nothing_imports_a_stage():
    assert [module for module in MODULES if imported(module) & {*SCRIPTS, *COMMANDS}] == []


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_no_parameter_that_is_not_in_params_yaml(name):
    assert [key for key in STAGES[name].params if not any(is_meant(known, key) for known in all_keys(PARAMS))] == []


def test_sources_are_run_from_the_root_like_all_others():
    sources = yaml.safe_load((ROOT / "data/dvc.yaml").read_text())["stages"]
    assert {stage["wdir"] for stage in sources.values()} == {".."}


def test_dvc_keeps_data_and_models_and_git_keeps_metrics_and_plots():
    assert all(cached == is_within(path, ["data", "models"]) for path, cached in all_outs().items())
    assert all(is_within(path, ["data", "models", "metrics", "plots"]) for path in all_outs())


@pytest.mark.parametrize("count", [1, 2, 6])
def test_each_file_of_each_model_is_made_by_one_stage_however_many_backbones_there_are(tmp_path, count):
    changes = with_backbones(count)
    families = list_families(changes["backbones"])
    models = [model for family in families.values() for model in family]
    made = [out for stage in read_changed(tmp_path, **changes).values() for out in stage.outs]
    assert len(set(made)) == len(made)
    for place, names in {
        "models/*.keras": models,
        "metrics/*_*.json": [*models, "data_size", "label_errors", "mended_labels"],
        "plots/history/*": models,
        "metrics/costs/training/*": models,
        "metrics/costs/predictions/*": families,
        "metrics/leave_breeds_out/*": changes["backbones"],
        "plots/leave_breeds_out/*": changes["backbones"],
        "data/predictions/*": families,
    }.items():
        assert sorted(Path(out).stem for out in made if Path(out).match(place)) == sorted(names), place
    for place in (
        "data/features/*/plain",
        "data/features/*/augmented",
        "data/features/*/backbone.keras",
        "data/activations/*/photos",
        "data/activations/*/views",
        "metrics/costs/features/*/photos.json",
        "metrics/costs/features/*/views.json",
    ):
        assert [Path(out).parent.name for out in made if Path(out).match(place)] == [*changes["backbones"]], place


def test_a_backbone_more_leaves_the_stages_of_the_others_as_they_are(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "less").mkdir()
    more, less = with_backbones(3), with_backbones(2)
    after, before = read_changed(tmp_path / "more", **more), read_changed(tmp_path / "less", **less)
    (name,) = more["backbones"].keys() - less["backbones"].keys()
    assert {stage: after[stage] for stage in before} == before
    assert after.keys() - before.keys() == of_one_backbone(name)


def test_no_backbone_and_no_model_on_one_is_named_outside_of_params_yaml():
    backbones = re.compile(rf"({'|'.join(BACKBONES)})(?!-bundled\.weights)")  # a file of weights may be known by name
    files = [ROOT / "dvc.yaml", *(ROOT / ".dvc/plots").iterdir(), *(ROOT / "stages").rglob("*.jinja")]
    assert [file for file in files if backbones.search(file.read_text())] == []
    of_networks = ("stages/lib/backbones/", "stages/lib/core/registry.py", "stages/sources/")
    scripts = [module for module in MODULES if not module.startswith(of_networks)]
    assert [module for module in scripts if any(backbones.search(text) for text in texts(module))] == []


def test_the_graph_is_short_enough_to_be_read():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 250


@pytest.mark.parametrize("lock", ["dvc.lock", "data/dvc.lock"])
def test_lock_is_in_step_with_the_code_the_params_and_what_git_keeps(lock):
    locked = yaml.safe_load((ROOT / lock).read_text())["stages"]
    assert set(locked) <= set(STAGES)
    assert lock != "dvc.lock" or set(locked) == ALL
    changed = {}
    with Repo(ROOT) as repo:
        for stage in (stage for stage in repo.index.stages if stage.name in locked):
            small = [out for out in stage.outs if not out.use_cache]
            code = [dep for dep in stage.deps if isinstance(dep, ParamsDependency) or "stages/" in dep.def_path]
            for each in (*small, *code):
                changed.setdefault(stage.name, {}).update(each.status())
    assert {name: found for name, found in changed.items() if found} == {}


def test_nothing_keeps_dvc_from_restoring_results_when_one_goes_back_to_earlier_params():
    # DVC's run cache leaves out stages that have an output outside its cache, metrics and plots excepted
    without = {
        name for name, stage in GRAPH["stages"].items() if any(isinstance(out, dict) for out in stage.get("outs", []))
    }
    assert without == {"evaluate", "report"}, "DVC would take their table and their page for plots that it can't read"


# Honesty


def test_test_photos_are_opened_by_the_stages_alone_that_ask_trained_models_and_show_what_they_said():
    opened = {name for name, stage in STAGES.items() if any(touches("data/prepared/test", dep) for dep in stage.deps)}
    assert opened == {*PREDICTIONS, "explain", "convert", "report"}
    for name in OF_THE_BEST:
        assert "metrics/evaluate.json" in STAGES[name].keys, f"or {name} would not wait until all is chosen"


def test_nothing_that_trains_or_is_trained_on_comes_after_a_stage_that_saw_the_test_photos():
    later = set().union(*map(after, PREDICTIONS))
    assert later == {"evaluate", "explain", "report", "convert", "export"}
    for last in ("report", "export"):
        assert after(last) == set(), "what it tells of the test photos would steer something"


@pytest.mark.parametrize("name", sorted({*TRAINING_STAGES, "data_size"}))
def test_nothing_that_trains_runs_again_for_a_chart_a_score_or_an_export(name):
    packages = {f"stages/lib/{package}" for package in ("evaluation", "reporting", "inference")}
    packages |= {"stages/lib/probes"} if name != "data_size" else set()
    packages |= {f"stages/lib/{package}" for package in ("exporting", "serving")}
    assert [dep for dep in STAGES[name].deps if dep in packages] == []


def test_photos_of_anything_else_are_opened_by_stages_alone_that_ask_trained_models_and_show_what_they_said():
    opened = {
        name for name, stage in STAGES.items() if any(touches("data/prepared_unknown", dep) for dep in stage.deps)
    }
    assert opened == {*PREDICTIONS, "report"}
    assert after("prepare_unknown") == {*PREDICTIONS, *JUDGED}, "nothing is trained, fitted or left out by them"


def test_a_breed_is_left_out_by_photos_of_train_and_val_and_what_came_of_it_is_told_and_steers_nothing():
    for name in LEFT_OUT:
        assert not any(touches("data/prepared/test", dep) for dep in STAGES[name].deps)
        assert after(name) == {"report"}


def test_what_evaluate_found_decides_of_inference_after_it_by_a_few_keys_alone():
    of_the_best = {
        "explain": ["best", "best_sha256", "views"],
        "convert": ["best", "best_sha256", "views"],
    }
    assert set(of_the_best) == set(OF_THE_BEST)
    assert {name: stage.keys for name, stage in STAGES.items() if stage.keys} == {
        name: {"metrics/evaluate.json": keys} for name, keys in of_the_best.items()
    }


def test_a_changed_chart_runs_report_alone():
    assert {name for name, stage in STAGES.items() if "stages/lib/reporting" in stage.deps} == {"report"}


def test_what_scores_and_draws_loads_no_tensorflow():
    scripts = [
        "prepare",
        "prepare_unknown",
        "augment",
        "leave_breeds_out",
        "label_errors",
        "evaluate",
        "report",
        "export",
    ]
    imports = ", ".join(f"stages.{name}" for name in scripts)
    code = f"import sys, {imports}; print({{'tensorflow', 'keras'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# What runs again after a change


def of_each(pattern: str) -> set[str]:
    return {pattern.format(name) for name in BACKBONES}


def of_one_backbone(name: str) -> set[str]:
    """The stages that a backbone has for itself."""
    stages = {
        f"{stage}@{name}" for stage in ("features", "view_features", "finetune", "leave_breeds_out", "predictions")
    }
    return stages | {f"transfer@{name}-{variant}" for variant in VARIANTS}


JUDGED = {"evaluate", "explain", "report", "convert", "export"}
PREDICTIONS = {"predictions_scratch", *of_each("predictions@{}")}
SCRATCH = {"train_scratch@plain", "train_scratch@augmented", "predictions_scratch", *JUDGED}
OF_FINETUNE = {*of_each("finetune@{}"), *of_each("predictions@{}"), *JUDGED}
OF_TRANSFER = {*of_each("transfer@{}-plain"), *of_each("transfer@{}-augmented"), *OF_FINETUNE}
OF_MAIN = {"data_size", "label_errors"}
LEFT_OUT = of_each("leave_breeds_out@{}")
FEATURES = {*of_each("features@{}"), *of_each("view_features@{}")}
OF_BREEDS = {"prepare", "augment", *SCRATCH, *FEATURES, *OF_TRANSFER, *OF_MAIN, *LEFT_OUT}
ALL = {"prepare_unknown", *OF_BREEDS}
TRAINING = (
    "steps", "passes", "batch_size", "class_balance", "optimizer", "learning_rate", "weight_decay", "dropout",
    "label_smoothing", "validate_every", "patience",
)  # fmt: skip
NETWORK = ("network", "weights", "image_size")
OF_PHOTOS = {*of_each("features@{}"), *of_each("transfer@{}-plain"), *LEFT_OUT, *OF_MAIN}  # which look at no view
RERUN = {
    "seed": OF_BREEDS,
    "data.source": OF_BREEDS,
    "data.unknown": {"prepare_unknown", *PREDICTIONS, *JUDGED - {"convert", "explain"}},
    "data.stanford_dogs_breeds": {"report"},  # which lists it; the sample has other breeds
    **{f"data.{name}": ALL for name in ("image_size", "resize", "max_pixels")},
    **{f"data.{name}": OF_BREEDS for name in ("max_refused", "duplicate_distance")},
    **{f"split.{name}": OF_BREEDS for name in ("test", "val")},
    **{
        f"augment.{name}": OF_BREEDS - {"prepare", "train_scratch@plain", *OF_PHOTOS}
        for name in ("copies", "rotation", "zoom", "flip", "brightness", "contrast")
    },
    **{
        f"backbones.{name}.{key}": {*of_one_backbone(name), *(OF_MAIN if name == MAIN else []), *JUDGED}
        for name in BACKBONES
        for key in NETWORK
    },
    **{
        f"backbones.{name}.finetune_layers": {
            *(f"{stage}@{name}" for stage in ("features", "view_features", "finetune", "predictions")),
            *JUDGED,
        }
        for name in BACKBONES
    },
    "main_backbone": {*OF_MAIN, "evaluate", "report"},
    "precision": OF_BREEDS - {"prepare", "augment"},
    **{f"train_scratch.{name}": SCRATCH for name in (*TRAINING, "image_size")},
    **{f"transfer.{name}": OF_TRANSFER for name in TRAINING},
    **{f"finetune.{name}": OF_FINETUNE for name in TRAINING},
    "evaluate.confidence_level": {*LEFT_OUT, "evaluate", "report", "export"},
    "evaluate.target_accuracy": {"evaluate", "report", "export"},
    "evaluate.turned_away": {*LEFT_OUT, "evaluate", "report", "export"},
    "evaluate.views": {*PREDICTIONS, *JUDGED},
    **{f"export.{name}": {"convert", "export"} for name in ("int8", "parity_photos")},
    **{f"compute.{name}": {"prepare", "prepare_unknown", *FEATURES, "report"} for name in ("engine", "address")},
}
# Parts of what stages make, by what alone has an effect on them; DVC sees that the others' bytes are the same.
FAMILIES = list_families(BACKBONES)
ON_VAL = {f"data/predictions/{family}/val" for family in FAMILIES}  # what is answered about known photos
PARTS = {
    "data/augmented/augmented": {"augment", "seed", "data/prepared"},
    "data/augmented/plain": set(),  # a list without a view
    "metrics/evaluate.json": {"data/predictions", "backbones", "data.source", "evaluate", "seed"},
    **{f"metrics/evaluate.json:{key}": ON_VAL for key in ("best", "best_sha256")},
    "metrics/evaluate.json:views": {"evaluate.views"},
    "plots/classification_report.csv": {"data/predictions", "backbones"},
    "plots/predictions": ON_VAL,  # and on test, which changes with val
}
for _family, _models in FAMILIES.items():
    _asked = {"evaluate.views", *(f"models/{model}.keras" for model in _models)}
    PARTS[f"data/predictions/{_family}/val"] = {"data/prepared", *_asked}
    PARTS[f"data/predictions/{_family}/unknown"] = {"data/prepared_unknown", *_asked}
for _name in BACKBONES:
    _network = {f"backbones.{_name}.{key}" for key in NETWORK}
    PARTS |= {
        f"data/features/{_name}/augmented": {"data/augmented/augmented", "data/prepared", "precision", *_network},
        f"data/features/{_name}/plain": {"data/prepared", "precision", *_network},
        f"data/features/{_name}/backbone.keras": _network,
    }
WITHOUT_EFFECT = "compute."  # but on what is in metrics/costs: another engine makes the same bytes


def may_run_again(stages: dict, key: str, directly: set[str]) -> set[str]:
    """The stages that may run when a parameter changes, which those are that read it, and what changed follows."""
    ran, changed = set(), set()
    while True:
        now = directly | {
            name
            for name, stage in stages.items()
            if any(touches(each, dep) for each in changed for dep in stage.deps)
            or any(f"{path}:{each}" in changed for path, keys in stage.keys.items() for each in keys)
        }
        made = {
            part
            for name in now
            for out in stages[name].outs
            for part in ([part for part in PARTS if part.startswith(f"{out}/")] or [out])
        }
        made |= {part for part in PARTS if part.partition(":")[0] in made}
        made = {
            part
            for part in made
            if part not in PARTS
            or any(is_meant(key, each) or any(touches(other, each) for other in changed) for each in PARTS[part])
        }
        if key.startswith(WITHOUT_EFFECT):
            made = {part for part in made if is_within(part, ["metrics/costs"])}
        if now == ran and made == changed:
            return ran
        ran, changed = now, made


def read_by(stages: dict, key: str) -> set[str]:
    return {name for name, stage in stages.items() if any(is_meant(key, declared) for declared in stage.params)}


def needed(stages: dict) -> set[str]:
    """The stages of dvc.yaml, and of data/dvc.yaml those that these need: what `dvc repro` may run."""
    wanted = {name for name in stages if name.partition("@")[0] in GRAPH["stages"]}
    while True:
        makers = {
            name
            for name, stage in stages.items()
            if any(touches(out, dep) for out in stage.outs for other in wanted for dep in stages[other].deps)
        }
        if makers <= wanted:
            return wanted
        wanted |= makers


def test_the_table_of_what_runs_again_has_every_parameter():
    assert sorted(RERUN) == sorted(all_keys(PARAMS))
    assert sorted(name for name in STAGES if name.partition("@")[0] in GRAPH["stages"]) == sorted(ALL)


@pytest.mark.parametrize("key", all_keys(PARAMS))
def test_a_changed_parameter_runs_the_stages_that_it_concerns_and_no_other(key):
    assert may_run_again(STAGES, key, read_by(STAGES, key)) & needed(STAGES) == RERUN[key]


IN_PATHS = {  # of parameters in paths, as in ${data.source}: the stages whose deps or outs have other names then
    "data.source": {"prepare"},
    "data.unknown": {"prepare_unknown"},
    **{f"backbones.{name}.weights": {f"features@{name}", f"view_features@{name}"} for name in BACKBONES},
    "main_backbone": OF_MAIN,
}


@pytest.mark.parametrize("key", [None, *IN_PATHS], ids=["all others", *IN_PATHS])
def test_what_a_stage_runs_reads_and_makes_is_named_by_no_parameter_that_it_does_not_declare(tmp_path, key):
    def effects(stages: dict) -> dict:
        return {name: (stage.command, stage.deps, list(stage.outs)) for name, stage in stages.items()}

    others = [other for other in all_keys(PARAMS) if other not in IN_PATHS]
    before, now = effects(STAGES), effects(read_changed(tmp_path, **dict.fromkeys([key] if key else others, "another")))
    assert {name for name in before if before[name] != now[name]} == IN_PATHS.get(key, set())
    if key:
        assert IN_PATHS[key] <= read_by(STAGES, key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("data.stanford_dogs_breeds", {"stanford_dogs", *OF_BREEDS}), ("evaluate.views", RERUN["evaluate.views"])],
)
def test_other_sources_run_again_by_their_own_parameters(tmp_path, key, expected):
    stages = read_changed(tmp_path, **{"data.source": "data/stanford_dogs"})
    assert may_run_again(stages, key, read_by(stages, key)) & needed(stages) == expected


def test_of_the_sources_those_run_whose_files_are_named(tmp_path):
    weights = {f"backbones.{name}.weights": "data/weights/VGG19-imagenet.weights.h5" for name in BACKBONES}
    stages = read_changed(tmp_path, **{"data.source": "elsewhere", "data.unknown": "others"}, **weights)
    assert needed(stages) == {"imagenet_weights@VGG19", *ALL}
    assert {"sample", "sample_unknown"} <= needed(STAGES)


def test_there_are_weights_of_every_network_of_keras():
    assert sorted(name for name in STAGES if name.startswith("imagenet_weights@")) == sorted(
        f"imagenet_weights@{network}" for network in OF_KERAS
    )


def test_each_artifact_of_the_registry_is_a_file_that_export_writes():
    described = GRAPH["artifacts"]
    always = [each for name, each in FORMATS.items() if name != "tflite_int8"]
    written = {f"models/exported/{each.file}" for each in always}
    assert {each["path"] for each in described.values()} == {*written, "models/exported"}
    assert written == {path for path in written if is_within(path, STAGES["export"].outs)}
    assert all(each["type"] == "model" and each["desc"] and each["labels"] for each in described.values())


# Plots


def test_a_plot_shows_what_a_stage_makes():
    assert [files for files, _ in all_plots() if not files or not files <= set(all_outs())] == []


def test_the_plots_of_the_training_are_of_the_table_that_has_all_models():
    curves = [settings["title"] for files, settings in all_plots() if files == {"plots/learning_curves.csv"}]
    expected = ("Learning rate", "Accuracy on val", "Loss on val", "Loss on train")
    assert [title.partition(" (")[0] for title in curves] == list(expected)
    histories = [
        settings for files, settings in all_plots() if any(is_within(file, ["plots/history"]) for file in files)
    ]
    assert {settings["template"] for settings in histories} == {"none"}


def test_the_confusion_matrices_of_all_models_are_one_plot_of_a_small_table():
    # DVC puts all columns of a plot's file into its page, and the predictions have one a breed
    confusions = [files for files, settings in all_plots() if settings.get("template") == "confusions"]
    assert confusions == [{"plots/confusion.csv"}]
    assert [files for files, _ in all_plots() if any(is_within(file, ["plots/predictions"]) for file in files)] == []


def test_a_plot_is_drawn_by_a_template_of_dvcs_or_of_ours():
    ours = {path.stem for path in (ROOT / ".dvc/plots").glob("*.json")}
    named = {settings["template"] for _, settings in all_plots() if "template" in settings}
    assert named - {"simple", "scatter"} == ours


def test_the_templates_name_no_model_and_have_colours_for_those_of_six_backbones():
    for template in (ROOT / ".dvc/plots").glob("*.json"):
        text = template.read_text()
        assert re.findall("scratch|transfer|finetune", text) == []
        assert set(re.findall('"scheme": "([^"]*)"', text)) <= {"tableau20", "blues"}, (
            "20 models, or a share from 0 to 1"
        )


def test_the_splits_have_the_colours_of_the_charts():
    template = json.loads((ROOT / ".dvc/plots/class_balance.json").read_text())
    assert template["spec"]["encoding"]["color"]["scale"]["range"] == sns.color_palette("colorblind").as_hex()[:3]


def test_dvc_plots_shows_every_picture_that_git_keeps():
    pictures = {path for path in all_outs() if Path(path).suffix in {".png", ".jpg"}}
    assert pictures - {file for files, _ in all_plots() for file in files} == set()
