import pytest
import yaml

from stages.lib.core.errors import UserError
from stages.lib.core.models import list_families
from stages.lib.core.params import load_params
from stages.lib.core.registry import NETWORKS

SECTIONS = (
    "seed, data, split, augment, backbones, main_backbone, precision, train_scratch, transfer, finetune, evaluate, "
    "export, compute"
)
VGG16 = {"network": "VGG16", "weights": "some.weights.h5", "image_size": 128, "finetune_layers": 3}

WRONG_NAMES = [
    ("augment.copys", "did you mean copies?"),
    ("split.xyz", "the keys here are test, val."),
    ("finetuning", "did you mean finetune?"),
    ("backbone", "did you mean backbones?"),
    ("finetune.layers", "the keys here are steps, passes, batch_size, class_balance, optimizer, learning_rate, "
        "weight_decay, dropout, label_smoothing, validate_every, patience."),
    ("backbones.VGG16.finetune_layer", "did you mean finetune_layers?"),
    ("backbones.VGG16.name", "the keys here are network, weights, image_size, finetune_layers."),
]  # fmt: skip
WRONG_VALUES = [
    ("split", None, "should be a section with the keys test, val"),
    ("split", 0.3, "should be a section with the keys test, val"),
    ("seed", "one", "should be a valid integer"),
    ("seed", -1, "should be greater than or equal to 0"),
    ("seed", 2**32, "should be less than 4294967296"),
    ("data.source", "", "should have at least 1 character"),
    ("data.unknown", "", "should have at least 1 character"),
    ("data.image_size", 31, "should be greater than or equal to 32"),
    ("data.resize", "zoom", "should be 'crop', 'pad' or 'squash'"),
    ("data.max_pixels", 0, "should be greater than or equal to 1"),
    ("data.duplicate_distance", 65, "should be less than or equal to 64"),
    ("augment.copies", -1, "should be greater than or equal to 0"),
    ("augment.copies", 1.5, "should be a valid integer"),
    ("augment.copies", True, "should be a valid integer"),
    ("augment.rotation", 181, "should be less than or equal to 180"),
    ("augment.zoom", 0.99, "should be less than or equal to 0.9"),  # more would take gigabytes
    ("augment.zoom", True, "should be a valid number"),
    ("augment.zoom", float("nan"), "should be a finite number"),
    ("augment.flip", 1, "should be a valid boolean"),
    ("backbones", None, "should be a section with one network or more, each under a name"),
    ("backbones", {}, "should be a section with one network or more, each under a name"),
    ("backbones", ["VGG16"], "should be a section with one network or more, each under a name"),
    ("backbones.VGG16", "VGG16", "should be a section with the keys network, weights, image_size, finetune_layers"),
    ("backbones.VGG16.network", "VGG17", f"should be {', '.join(NETWORKS)}"),
    ("backbones.VGG16.weights", "weights.pt", "should end in .weights.h5"),
    ("backbones.VGG16.image_size", 31, "should be greater than or equal to 32"),
    ("backbones.VGG16.finetune_layers", 0, "should be greater than or equal to 1"),
    ("transfer.learning_rate", "fast", "should be a valid number, unable to parse string as a number"),
    ("transfer.learning_rate", "inf", "should be a finite number"),
    ("finetune.learning_rate", 0, "should be greater than 0"),
    ("evaluate.turned_away", 0, "should be greater than 0"),
    ("evaluate.turned_away", 1, "should be less than 1"),
    ("evaluate.turned_away", "few", "should be a valid number, unable to parse string as a number"),
    ("transfer.class_balance", "weight", "should be 'none', 'weights' or 'sampling'"),
    ("compute.engine", "spark", "should be 'local' or 'ray'"),
    ("compute.address", "head", "should be local, auto or HOST:PORT"),
    ("compute.address", "http://head:6379", "should be local, auto or HOST:PORT"),
    ("compute.address", "head:ray", "should be local, auto or HOST:PORT"),
    (
        "compute.address",
        "ray://head:10001",
        "should not begin with ray://, through which Ray's Data library does not work: HOST:PORT does",
    ),
    ("compute.address", 6379, "should be a valid string"),
    ("split", {"test": 0.6, "val": 0.4}, "test and val together should be less than 1, they are 1"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "params.yaml"


def faults(path):
    """The lines that say what is wrong, without the path that each begins with."""
    with pytest.raises(UserError) as raised:
        load_params(path)
    return [line.removeprefix(f"{path}: ") for line in str(raised.value).split("\n")]


def test_the_repositorys_own_are_valid_and_read_as_they_stand(root):
    params = load_params(root / "params.yaml")
    assert params.model_dump() == yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("key", "hint"), WRONG_NAMES)
def test_a_wrong_name_is_one_line_with_what_may_be_meant(path, write_params, key, hint):
    write_params(path, **{key: 4})
    assert faults(path) == [f"{key} is no parameter: {hint}"]


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG_VALUES)
def test_a_wrong_value_is_one_line_with_key_and_what_is_allowed_and_what_came(path, write_params, key, value, allowed):
    write_params(path, **{key: value})
    assert faults(path) == [f"{key} {allowed}. Received: {value!r}"]


@pytest.mark.parametrize("name", ["scratch", "Scratch", "two words", "a/b", "-x", "", "Löwe"])
def test_a_backbone_has_a_name_that_files_can_be_named_after(path, write_params, name):
    write_params(path, backbones={name: VGG16}, main_backbone=name)
    assert faults(path) == [
        f"backbones.{name} should be letters, digits, _ and -, no - in front, and not scratch: files are named after "
        f"it. Received: {name!r}"
    ]


def test_a_name_that_yaml_takes_for_a_number_has_to_be_quoted(path, write_params):
    write_params(path, backbones={1: VGG16}, main_backbone="1")
    assert faults(path) == ["backbones.1 should be a valid string. Received: 1"]


def test_names_that_differ_in_case_alone_are_refused(path, write_params):
    write_params(path, backbones={"VGG16": VGG16, "vgg16": VGG16}, main_backbone="VGG16")
    assert faults(path) == [
        "backbones should have names that differ in more than case: on a Mac and on Windows they name the same files. "
        "Received: VGG16, vgg16"
    ]


def test_the_main_backbone_is_one_of_the_backbones(path, write_params):
    write_params(path, backbones={"one": VGG16, "other": VGG16}, main_backbone="third")
    assert faults(path) == ["main_backbone should be one of backbones: one, other. Received: third"]


@pytest.mark.parametrize("key", ["backbones.VGG16.image_size", "train_scratch.image_size"])
def test_no_network_takes_more_than_the_pictures_have(path, write_params, key):
    write_params(path, **{key: 261})
    assert faults(path) == [f"{key} should be at most data.image_size, 260, in which pictures are kept. Received: 261"]
    write_params(path, **{key: 260})
    assert load_params(path).data.image_size == 260


def test_the_models_are_two_from_scratch_and_three_on_each_backbone_in_the_order_of_the_file(path, root):
    content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    content |= {"backbones": {"B": VGG16, "A": VGG16}, "main_backbone": "A"}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    params = load_params(path)
    assert params.families == list_families(["B", "A"])
    assert list(params.families) == ["scratch", "B", "A"]
    assert params.models == tuple(model for family in params.families.values() for model in family)


def test_a_missing_key_is_named(path, write_params):
    write_params(path, split={"test": 0.2})
    assert faults(path) == ["split.val is missing."]


def test_a_missing_section_is_named(path, root):
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    del params["evaluate"]
    path.write_text(yaml.safe_dump(params))
    assert faults(path) == ["evaluate is missing."]


def test_several_faults_are_as_many_lines(path, write_params):
    write_params(path, **{"seed": -1, "augment.copys": 4, "data.resize": "zoom"})
    assert sorted(faults(path)) == [
        "augment.copys is no parameter: did you mean copies?",
        "data.resize should be 'crop', 'pad' or 'squash'. Received: 'zoom'",
        "seed should be greater than or equal to 0. Received: -1",
    ]


@pytest.mark.parametrize("content", ["", "# nothing but a comment\n"])
def test_an_empty_file_is_said_to_lack_its_sections(path, content):
    path.write_text(content)
    assert faults(path) == [f"the file should be a section with the keys {SECTIONS}. Received: None"]


def test_wrong_yaml_is_said_to_be_no_yaml_and_where(path):
    path.write_text("seed: 1\ndata: [unclosed\n")
    message = "\n".join(faults(path))
    assert message.startswith(f"{path} is no valid YAML: ")
    assert "line 3" in message


def test_a_file_that_is_not_utf_8_is_said_to_be_no_yaml(path):
    path.write_bytes("seed: 1  # Läufer\n".encode("latin-1"))
    assert faults(path)[0].startswith(f"{path} is no valid YAML: 'utf-8' codec can't decode")


def test_a_file_that_is_not_there_says_where_to_run_from(path):
    assert faults(path) == [f"{path} is not here: run stages from the repository's root."]


@pytest.mark.parametrize("written", ["1e-05", "1.0e-05", "0.00001", "'0.00001'"])
def test_a_small_number_is_read_however_dvc_writes_it(path, write_params, written):
    write_params(path, **{"finetune.learning_rate": "WRITTEN"})
    path.write_text(path.read_text(encoding="utf-8").replace("WRITTEN", written), encoding="utf-8")
    assert load_params(path).finetune.learning_rate == 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_of_the_registry_may_be_named(path, write_params, name):
    write_params(path, **{"backbones.VGG16.network": name})
    assert load_params(path).backbones["VGG16"].network == name


def test_many_photos_are_trained_on_for_more_steps_in_as_many_looks(path, write_params):
    write_params(path, **{"finetune.steps": 100, "finetune.validate_every": 20, "finetune.batch_size": 32})
    settings = load_params(path).finetune.model_copy(update={"passes": 5})
    assert settings.for_photos(640) == settings, "100 steps of 32 are 5 passes"
    more = settings.for_photos(6401)
    assert (more.steps, more.validate_every, more.looks) == (1005, 201, settings.looks)
    assert more.steps * 32 >= 5 * 6401
    assert more.model_copy(update={"steps": 100, "validate_every": 20}) == settings
    assert settings.model_copy(update={"passes": 0}).for_photos(10**6).steps == 100
