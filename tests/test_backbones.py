"""Pretrained networks: preprocessing inside, one flat graph, a cut that changes nothing."""

import pickle
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import slow_but
from PIL import Image
from pipeline_fixtures import read_stages
from small_classifiers import KNOWN, assert_close, seeded_head, small_classifier

from stages.features import run_frozen
from stages.finetune import split_for_training
from stages.lib.backbones.build import NETWORKS, build_backbone, write_weights
from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.backbones.folding import fold_batch_norm
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.core.errors import UserError
from stages.lib.networks.classifiers import join
from stages.lib.networks.model_files import load_classifier, save_classifier

SIDE = 64  # pixels
QUICK = "EfficientNetLite0"  # the smallest


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def answers(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What ``model`` gives, operation by operation: to make a graph takes longer than to ask it once."""
    return keras.ops.convert_to_numpy(without_lists(model)(inputs.astype(np.float32), training=False))


def outputs(model: keras.Model, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The same of a network as it is kept, which gives familiarity, too."""
    found = keras.Model(model.inputs[0], model.output)(inputs.astype(np.float32), training=False)
    return {name: keras.ops.convert_to_numpy(values) for name, values in found.items()}


def without_lists(model: keras.Model) -> keras.Model:
    """The same; what keras.applications builds takes its one input in a list, what is cut from it does not."""
    return keras.Model(model.inputs[0], model.outputs[0])


def build_classifier(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    backbone = build_backbone(name, SIDE)
    head = seeded_head(backbone.output.shape[-1], breeds=4)
    return join(backbone, head)


@pytest.mark.parametrize("name", slow_but(NETWORKS, QUICK))
def test_backbone_with_preprocessing_inside_equals_keras_network_on_preprocessed_photos(name, photos):
    backbone = build_backbone(name, SIDE)
    network = NETWORKS[name]
    bare = network.build(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    bare.set_weights(backbone.get_weights())
    expected = answers(bare, network.preprocess(photos.astype(np.float32)))
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(answers(backbone, photos), expected, rtol=1e-4, atol=1e-5)


def test_vgg16_sees_blue_green_red_minus_the_imagenet_mean():
    backbone = build_backbone("VGG16", 32)
    seen = keras.Model(backbone.input, backbone.get_layer("block1_conv1").input)
    red = np.tile(np.array([255, 0, 0], np.uint8), (1, 32, 32, 1))
    np.testing.assert_allclose(
        seen.predict(red, verbose=0)[0, 0, 0], [0 - 103.939, 0 - 116.779, 255 - 123.68], rtol=1e-5
    )


@pytest.mark.parametrize("name", slow_but(NETWORKS, QUICK))
def test_cut_network_gives_the_outputs_and_gradients_of_the_whole(name, photos):
    model = build_classifier(name)
    top = split_for_training(model, layers=3)
    below = keras.Model(model.input, cut_of(model, 3).output)
    targets = np.eye(4, dtype=np.float32)[[0, 1, 3]]

    whole = loss_and_gradients(model, photos.astype(np.float32), targets)
    cut = loss_and_gradients(top, answers(below, photos), targets)

    assert len(top.operations) < len(model.operations) / 2, "most of the network lies below the cut"
    assert len(whole) == len(cut) > 6, "three layers and the head have gradients"
    for expected, received in zip(whole, cut, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layers", "expected"),
    [
        ("ResNet50V2", 1, "conv5_block2_out"),
        ("EfficientNetLite0", 4, "block6d_add"),
        ("EfficientNetLite0", 7, "block6c_add"),
        ("EfficientNetLite1", 4, "block6e_add"),
        ("EfficientNetLite2", 5, "block6d_add"),  # one layer of 6e trains, and its shortcut starts before it
        ("EfficientNetLite2", 16, "block6a_project_bn"),
    ],
)
def test_a_residual_network_is_cut_where_no_shortcut_passes(name, layers, expected):
    model = build_classifier(name)
    assert cut_of(model, layers).name == expected


def test_vgg16_is_cut_below_its_fifth_block():
    model = build_classifier("VGG16")
    assert cut_of(model, 3).name == "block4_pool"
    assert cut_of(model, 6).name == "block3_pool"
    assert cut_of(model, 13).name.startswith("add"), "the last step of the preprocessing"


@pytest.mark.parametrize("name", slow_but(["EfficientNetLite0", "ResNet50V2"], "EfficientNetLite0"))
def test_batch_norm_keeps_its_pretrained_statistics_while_the_last_layers_train(name):
    model = build_classifier(name)
    top = split_for_training(model, layers=3)
    top.get_layer("head_dropout").rate = 0.0
    statistics = [np.copy(v) for v in model.non_trainable_variables if "moving" in v.path]
    inputs = np.random.default_rng(1).normal(size=(8, *top.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(top(inputs, training=True), top(inputs, training=False))
    top.compile("sgd", "categorical_crossentropy")
    top.fit(inputs, np.eye(4)[[0, 1, 2, 3] * 2], verbose=0)
    after = [np.copy(v) for v in model.non_trainable_variables if "moving" in v.path]
    assert len(statistics) > 90
    for before, now in zip(statistics, after, strict=True):
        np.testing.assert_array_equal(before, now)


def count_batch_norms(model: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)


FOLDED = {"ResNet50V2": 17, "DenseNet121": 62}  # the batch norms that are left, which come before convolutions


@pytest.mark.parametrize("name", slow_but(NETWORKS, QUICK))
def test_batch_norm_that_is_folded_into_convolutions_changes_no_answer(name, photos):
    keras.utils.set_random_seed(0)
    backbone = build_backbone(name, SIDE)
    generator = np.random.default_rng(0)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # whose weights start as ones and zeros
            gamma, beta, mean, variance = layer.get_weights()
            shift, other = generator.normal(0, 0.1, (2, len(mean)))
            scale, spread = generator.uniform(0.8, 1.2, (2, len(mean)))
            layer.set_weights([gamma * scale, beta + shift, mean + other, variance * spread])
    before = backbone.get_weights()
    expected, folded = answers(backbone, photos), fold_batch_norm(backbone)
    assert np.ptp(expected) > 0
    assert answers(folded, photos) == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))
    assert count_batch_norms(folded) == FOLDED.get(name, 0)
    assert all(np.array_equal(*pair) for pair in zip(before, backbone.get_weights(), strict=True))


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("used_twice", [True, False])
@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
def test_batch_norm_is_folded_where_nothing_else_takes_what_the_convolution_gives(
    kind, used_twice, use_bias, activation
):
    keras.utils.set_random_seed(0)
    photo = keras.Input((8, 8, 3))
    settings = {"filters": 5} if kind == "Conv2D" else {"depth_multiplier": 2}
    settings |= {"kernel_size": 3, "use_bias": use_bias, "activation": activation, "bias_initializer": "random_normal"}
    convolved = getattr(keras.layers, kind)(**settings)(photo)
    norm = keras.layers.BatchNormalization(
        scale=use_bias, moving_mean_initializer="random_normal", beta_initializer="random_normal"
    )
    x = norm(convolved)
    network = keras.Model(photo, keras.layers.Add()([x, convolved]) if used_twice else x)
    inputs = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    folded = fold_batch_norm(network)
    assert answers(folded, inputs) == pytest.approx(answers(network, inputs), abs=1e-5)
    assert count_batch_norms(folded) == int(used_twice or activation == "relu")


def test_batch_norm_stays_where_what_comes_before_it_is_given_out_or_it_comes_twice():
    photo = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(4, 3)(photo)
    given_out = fold_batch_norm(keras.Model(photo, [convolved, keras.layers.BatchNormalization()(convolved)]))
    twice = keras.layers.BatchNormalization()
    again = fold_batch_norm(keras.Model(photo, twice(keras.layers.Conv2D(4, 1)(twice(convolved)))))
    assert [count_batch_norms(given_out), count_batch_norms(again)] == [1, 1]


@pytest.mark.parametrize("name", slow_but(NETWORKS, QUICK))
def test_a_backbone_is_cached_trained_for_a_step_saved_and_read_back_to_the_bit(name, photos, tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(len(photos))]
    for photo, file in zip(photos, files, strict=True):
        Image.fromarray(photo).save(file)
    model = build_classifier(name)
    normalize_as_pretrained(model, photos)
    trained = {layer.name for layer in last_layers(of_backbone(model), 3)}
    frozen = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    top = split_for_training(model, layers=3)
    below = keras.Model(model.input, [cut_of(model, 3).output, model.get_layer("head_pool").output])

    sent = pickle.loads(pickle.dumps(below))  # as to the nodes of a cluster
    np.testing.assert_array_equal(answers(sent, photos), answers(below, photos))
    ((cached, _),) = run_frozen(sent, files)
    # some gradients are faint, as ConvNeXt scales its blocks by 1e-6 at first: a step whatever their size
    top.compile(keras.optimizers.Adam(1e-3, epsilon=1e-20), "categorical_crossentropy")
    top.train_on_batch(cached, np.eye(4)[: len(photos)])

    changed = {each for each, weights in frozen.items() if differ(weights, model.get_layer(each).get_weights())}
    assert changed == trained | {"head_normalization", "probabilities"}, "and no batch norm is"
    kept = small_classifier(model, list("ABCD"))
    save_classifier(kept, tmp_path / "model.keras")
    received = outputs(load_classifier(tmp_path / "model.keras").network, photos)
    assert_close(received, outputs(kept.network, photos), 0)
    np.testing.assert_array_equal(received[PROBABILITIES], answers(model, photos))
    np.testing.assert_allclose(received[PROBABILITIES], answers(top, cached), rtol=1e-2, atol=1e-3)  # float16 is cached


def test_more_layers_than_the_backbone_has_are_refused_with_their_number():
    with pytest.raises(UserError, match=r"finetune_layers must be at most 13 .* Received: 14"):
        last_layers(build_backbone("VGG16", 32).layers, 14)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_network_are_refused(tmp_path):
    write_weights(build_backbone("MobileNetV3Large", 32), tmp_path / "other.weights.h5")
    with pytest.raises(UserError, match=r"must be a .weights.h5 file of VGG16"):
        build_backbone("VGG16", 32, tmp_path / "other.weights.h5")
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(UserError, match=r"text\.weights\.h5"):
        build_backbone("VGG16", 32, tmp_path / "text.weights.h5")


def test_written_weights_are_read_back_exactly_at_any_image_size(tmp_path):
    network = build_backbone("VGG16", 32)
    write_weights(network, tmp_path / "some.weights.h5")
    again = build_backbone("VGG16", 48, tmp_path / "some.weights.h5")
    for expected, received in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_saved_classifier_comes_back_with_all_that_is_known_of_it_and_its_answers(photos, tmp_path):
    model = build_classifier(QUICK)
    breeds = ["Ångström's", "Bolonka, white", "C", "D"]
    kept = small_classifier(model, breeds, "pad", 2 * SIDE)
    save_classifier(kept, tmp_path / "model.keras")
    again = load_classifier(tmp_path / "model.keras")
    assert (again.breeds, again.resize, again.prepared_size, again.image_size) == (breeds, "pad", 2 * SIDE, SIDE)
    assert again.known_familiarity == KNOWN
    assert_close(again.network.predict(photos, verbose=0), kept.network.predict(photos, verbose=0), 0)


def normalize_as_pretrained(model: keras.Model, photos: np.ndarray) -> None:
    """Give batch norm the statistics of photos: with those that it starts from, activations fade to 0 in float16."""
    normalizing = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in normalizing]
    for layer in normalizing:
        layer.momentum = 0.0
    model(photos, training=True)
    for layer, momentum in zip(normalizing, momenta, strict=True):
        layer.momentum = momentum


def of_backbone(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if not layer.name.startswith("head_") and layer.name != "probabilities"]


def cut_of(model: keras.Model, count: int) -> keras.Operation:
    return cut_below(model, last_layers(of_backbone(model), count))


def differ(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return any(not np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def loss_and_gradients(model: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    model = without_lists(model)
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.categorical_crossentropy(targets, model(inputs, training=False)))
    return [loss.numpy(), *(g.numpy() for g in tape.gradient(loss, [v.value for v in model.trainable_variables]))]


def test_the_docs_tell_which_weights_there_are_for_each_backbone(root):
    rows = re.findall(
        r"^\| (\w+) \| \d+ \| ((?:bundled|imagenet).*?) \|", (root / "docs/backbones.md").read_text(), re.MULTILINE
    )
    packaged = {path.removesuffix("-bundled.weights.h5") for path in bundled_files(root)}
    assert [(name, weights.split(", ")) for name, weights in rows] == [
        (name, ["bundled"] * (name in packaged) + ["imagenet"] * hasattr(keras.applications, name)) for name in NETWORKS
    ]


def bundled_files(root) -> list[str]:
    """The names of the files of weights that stages of data/dvc.yaml take out of packages."""
    return [Path(out).name for stage in read_stages(root).values() for out in stage.outs if "-bundled." in out]
