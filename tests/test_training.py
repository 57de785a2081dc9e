"""Training: a budget of steps, the best look kept, the same bytes each time."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from small_classifiers import KNOWN, assert_close, familiar

from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.params import Training
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.networks.classifiers import head_network, scratch_network
from stages.lib.networks.graphs import in_precision
from stages.lib.networks.model_files import Classifier, load_classifier, save_classifier
from stages.lib.training import loop as training
from stages.lib.training.loop import schedule, set_seed, train
from stages.lib.training.results import write_results

SETTINGS = Training(
    steps=40,
    batch_size=8,
    class_balance="none",
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.0,
    dropout=0.0,
    label_smoothing=0.0,
    validate_every=10,
    patience=10,
    passes=0,
)


def blobs(photos: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of three breeds that are easy to tell apart."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, photos)
    return (np.eye(3)[labels] * 3 + generator.normal(size=(photos, 3))).astype(np.float32), labels


def train_head(settings: Training = SETTINGS, seed: int = 1) -> tuple[keras.Model, training.TrainingRun]:
    set_seed(seed)
    (inputs, labels), (val_inputs, val_labels) = blobs(), blobs(seed=1)
    head = head_network(3, 3, settings.dropout)
    batches = training_batches(inputs, labels, 3, settings, seed)
    return head, train(head, batches, validation_batches(val_inputs, val_labels, 3, 8), settings, "head")


def test_every_picture_comes_once_before_any_comes_again():
    inputs = np.arange(10)[:, None].astype(np.float32)
    settings = SETTINGS.model_copy(update={"steps": 10, "batch_size": 2})
    batches = list(training_batches(inputs, np.zeros(10, int), 2, settings, seed=0).as_numpy_iterator())
    assert len(batches) == 10
    order = np.concatenate([x.ravel() for x, _ in batches])
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert list(order[:10]) != list(order[10:])


def test_labels_stay_with_their_inputs_and_are_smoothed_for_training_alone():
    inputs, labels = np.arange(7)[:, None].astype(np.float32), np.array([0, 1, 2, 0, 1, 2, 0])
    settings = SETTINGS.model_copy(update={"label_smoothing": 0.3, "batch_size": 3})
    for x, y in training_batches(inputs, labels, 3, settings, seed=0).as_numpy_iterator():
        np.testing.assert_allclose(y, np.eye(3)[labels[x.ravel().astype(int)]] * 0.7 + 0.1, rtol=1e-6)
    ((x, y),) = validation_batches(inputs, labels, 3, 8).as_numpy_iterator()
    np.testing.assert_array_equal(x, inputs)
    np.testing.assert_array_equal(y, np.eye(3)[labels])


UNEVEN = np.array([0] * 2 + [1] * 6 + [2] * 16)


def balanced(class_balance: str, **changes: object) -> Training:
    return SETTINGS.model_copy(update={"class_balance": class_balance, **changes})


def test_weights_let_every_breed_count_alike_and_a_picture_once_on_average():
    settings = balanced("weights", steps=3, validate_every=3)  # all 24 pictures, once
    batches = list(training_batches(np.arange(24)[:, None], UNEVEN, 3, settings, seed=0).as_numpy_iterator())
    pictures, weights = (np.concatenate([batch[part] for batch in batches]) for part in (0, 2))
    assert sorted(pictures[:, 0]) == list(range(24))
    assert weights.dtype == np.float32
    labels = UNEVEN[pictures[:, 0]]
    assert [weights[labels == label].sum() for label in range(3)] == pytest.approx([8, 8, 8])
    assert len({weight for label, weight in zip(labels, weights, strict=True) if label == 0}) == 1


def test_weights_leave_the_order_of_the_pictures_as_it_is():
    orders = [
        np.concatenate([batch[0].ravel() for batch in batches.as_numpy_iterator()]).tolist()
        for batches in (
            training_batches(np.arange(24)[:, None], UNEVEN, 3, balanced(name), seed=5) for name in ("none", "weights")
        )
    ]
    assert orders[0] == orders[1]


def test_no_batches_start_the_autotuner_whose_sleep_the_end_of_a_training_would_wait_for():
    inputs, labels = np.zeros((8, 4), np.float32), np.zeros(8, int)
    for batches in (training_batches(inputs, labels, 2, SETTINGS, seed=0), validation_batches(inputs, labels, 2, 8)):
        assert batches.options().autotune.enabled is False
        assert batches.skip(1).take(1).options().autotune.enabled is False


@pytest.mark.parametrize("batch_size", [8, 9, 2])
def test_sampling_shows_every_breed_equally_often_and_all_its_pictures_before_any_comes_again(batch_size):
    settings = balanced("sampling", batch_size=batch_size)

    def draw(seed: int) -> list[np.ndarray]:
        batches = training_batches(np.arange(24)[:, None], UNEVEN, 3, settings, seed)
        return [pictures.ravel() for pictures, _ in batches.as_numpy_iterator()]

    batches = draw(seed=1)
    assert [len(batch) for batch in batches] == [batch_size] * settings.steps
    for batch in batches:
        shown = np.bincount(UNEVEN[batch], minlength=3)
        assert shown.max() - shown.min() <= (0 if batch_size == 9 else 2)
    order = np.concatenate(batches)
    shown = np.bincount(UNEVEN[order], minlength=3)
    assert shown.max() - shown.min() <= 1
    for label in range(3):
        members, of_breed = np.flatnonzero(label == UNEVEN), order[UNEVEN[order] == label]
        for start in range(0, len(of_breed) - len(members) + 1, len(members)):
            assert sorted(of_breed[start : start + len(members)]) == members.tolist()
    assert order.tolist() == np.concatenate(draw(seed=1)).tolist()
    assert order.tolist() != np.concatenate(draw(seed=2)).tolist()


def test_weights_are_of_the_training_loss_alone_and_accuracy_counts_every_picture_once():
    set_seed(0)
    labels = np.array([0] * 20 + [1] * 4)
    inputs = np.tile(np.float32([1, 3]), (24, 1))  # all alike, so that all are taken for one breed
    settings = balanced("weights", steps=3, validate_every=3)
    head = head_network(2, 2, 0.0)
    head.layers[-1].set_weights([np.float32([[0, 0.5], [0, 0]]), np.float32([0, 0.7])])  # it starts from equal ones
    of_breed = -np.log(head.predict(inputs[:1], verbose=0)[0])  # the loss of a picture of each breed
    batches = training_batches(inputs, labels, 2, settings, seed=0)
    before = train(head, batches, validation_batches(inputs, labels, 2, 8), settings, "head").history.iloc[0]
    assert before["val_loss"] == pytest.approx(np.average(of_breed, weights=[20, 4]), rel=1e-5)
    assert before["loss"] == pytest.approx(of_breed.mean(), rel=1e-5)
    assert before["accuracy"] == before["val_accuracy"]
    assert before["accuracy"] == pytest.approx((20 if of_breed[0] < of_breed[1] else 4) / 24)


@pytest.mark.parametrize("class_balance", ["weights", "sampling"])
def test_a_rare_breed_is_recognised_more_often_where_breeds_are_balanced(class_balance):
    def draw(common: int, rare: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat([0, 1], [common, rare])
        noise = np.random.default_rng(rare).normal(size=(len(labels), 2))
        return (labels[:, None] * 1.5 + noise).astype(np.float32), labels

    recalls = {}
    inputs, labels = draw(400, 12)
    val_inputs, val_labels = draw(100, 101)
    for name in ("none", class_balance):
        set_seed(1)
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
        settings = balanced(name, steps=200, batch_size=32)
        batches = training_batches(inputs, labels, 2, settings, seed=1)
        # both are steered by the rare breed as it is in training, a photo in 34
        train(network, batches, validation_batches(inputs, labels, 2, 32), settings, "network")
        recalls[name] = (network.predict(val_inputs, verbose=0).argmax(axis=1) == val_labels)[val_labels == 1].mean()
    assert recalls[class_balance] > recalls["none"] + 0.2


def test_history_has_a_row_for_each_look_from_before_the_first_step():
    _, trained = train_head()
    assert list(trained.history) == ["step", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert trained.history["step"].tolist() == [0, 10, 20, 30, 40]
    assert trained.history["val_accuracy"].iloc[-1] > 0.9 > trained.history["val_accuracy"].iloc[0]


def test_learning_rate_warms_up_and_falls_as_a_cosine():
    _, trained = train_head()
    assert trained.history["learning_rate"].tolist()[1:] == pytest.approx(
        [0.01 * schedule(look, 4) for look in range(4)]
    )
    assert [schedule(look, 4) for look in range(4)] == pytest.approx([0.1, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_learning_rate_halves_and_training_stops_where_val_gets_no_better(monkeypatch):
    monkeypatch.setattr(training, "schedule", lambda look, looks: 1.0)  # noqa: ARG005
    hopeless = SETTINGS.model_copy(update={"learning_rate": 10.0, "steps": 200, "patience": 4})
    _, trained = train_head(hopeless)
    looks = trained.history[1:]
    last = looks["step"].iloc[-1]
    assert last < 200
    assert last - looks.loc[looks["val_loss"].idxmin(), "step"] == 40, "four looks without a better one"
    assert trained.history["learning_rate"].iloc[-1] < 10.0


def test_model_is_left_with_the_weights_of_the_best_look():
    settings = SETTINGS.model_copy(update={"learning_rate": 0.3, "steps": 100})
    head, trained = train_head(settings)
    inputs, labels = blobs(seed=1)
    log_loss = -np.log(head.predict(inputs, verbose=0)[np.arange(len(labels)), labels]).mean()
    assert log_loss == pytest.approx(trained.history["val_loss"].min(), rel=1e-4)
    assert trained.best["step"] < 100, "the last look was not the best one, or this shows nothing"


def test_model_that_only_gets_worse_is_left_as_it_came():
    set_seed(0)
    inputs, labels = blobs()
    head = head_network(3, 3, 0.0)
    train(
        head, training_batches(inputs, labels, 3, SETTINGS, 0), validation_batches(inputs, labels, 3, 8), SETTINGS, "1"
    )
    before = head.predict(inputs, verbose=0)
    wrong = (labels + 1) % 3
    trained = train(
        head, training_batches(inputs, wrong, 3, SETTINGS, 0), validation_batches(inputs, labels, 3, 8), SETTINGS, "2"
    )
    assert trained.best["step"] == 0
    np.testing.assert_array_equal(head.predict(inputs, verbose=0), before)


def test_diverged_training_is_told():
    with pytest.raises(UserError, match=r"head diverged.*Lower its learning_rate"):
        train_head(SETTINGS.model_copy(update={"learning_rate": 1e30}))


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {}
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        keras.utils.clear_session()  # each stage is a process of its own, in which Keras counts its layers from 0
        head, trained = train_head(seed=seed)
        write_results("VGG16_transfer_plain", Classifier(head, ["x", "y", "z"], "crop", 32, KNOWN), trained, "float32")
        files[run] = {
            path: path.read_bytes()
            for path in sorted(paths.Path().rglob("*.*"))
            if path.is_file() and "costs" not in path.parts
        }
    assert list(map(str, files["a"])) == [
        "metrics/VGG16_transfer_plain.json",
        "models/VGG16_transfer_plain.keras",
        "plots/history/VGG16_transfer_plain.csv",
    ]
    assert files["a"] == files["b"]
    assert all(files["a"][path] != files["c"][path] for path in files["a"])
    assert list(json.loads((paths.METRICS / "VGG16_transfer_plain.json").read_text())) == [
        "steps",
        "best_step",
        "best_val_loss",
        "best_val_accuracy",
        "parameters",
    ]
    assert list(json.loads((paths.TRAINING_COSTS / "VGG16_transfer_plain.json").read_text())) == [
        "training_seconds",
        "pictures_per_second",
        "precision",
    ]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_model_trained_in_less_precision_is_saved_in_float32_and_agrees(policy, tmp_path):
    keras.utils.set_random_seed(0)
    mixed = in_precision(scratch_network(32, 3, dropout=0.3), policy)
    mixed.compile("adamw", "categorical_crossentropy")
    mixed.fit(np.zeros((2, 32, 32, 3)), np.eye(3)[:2], verbose=0)
    assert mixed.layers[3].compute_dtype == policy.removeprefix("mixed_")
    kept = familiar(mixed)
    save_classifier(Classifier(kept, ["x", "y", "z"], "crop", 32, KNOWN), tmp_path / "model.keras")
    saved = load_classifier(tmp_path / "model.keras").network
    assert {layer.compute_dtype for layer in saved.layers} == {"float32"}
    with zipfile.ZipFile(tmp_path / "model.keras") as archive, h5py.File(archive.open("model.weights.h5")) as weights:
        assert "optimizer" not in weights
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    assert_close(saved.predict_on_batch(photos), kept.predict_on_batch(photos), 0.02)
    for expected, received in zip(kept.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_other_files_are_no_models_and_say_so(tmp_path):
    text, broken, foreign = tmp_path / "text.keras", tmp_path / "broken.keras", tmp_path / "foreign.keras"
    text.write_text("no model")
    save_classifier(Classifier(head_network(3, 3, 0.0), ["x", "y", "z"], "crop", 32, KNOWN), broken)
    broken.write_bytes(broken.read_bytes()[:-100])
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("metadata.json", "{}")
    for path in (text, broken, foreign):
        with pytest.raises(UserError, match=rf"{path.name} is no model of this version of the pipeline, or not whole"):
            load_classifier(path)
    with pytest.raises(UserError, match="is not here"):
        load_classifier(tmp_path / "nothing.keras")
