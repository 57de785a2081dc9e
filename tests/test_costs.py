"""What is timed, and what is not; how long it takes decides nothing."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from small_classifiers import assert_close, familiar

from stages.lib.core.hashes import hash_file
from stages.lib.inference import costs
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.graphs import average_views


def test_networks_of_one_architecture_are_timed_once_and_others_for_themselves(monkeypatch):
    timed = []
    monkeypatch.setattr(costs, "milliseconds_a_photo", lambda network: timed.append(network) or float(len(timed)))
    made = scratch_network(32, 3, 0.1), scratch_network(32, 3, 0.5), scratch_network(32, 4, 0.1)
    first, second, other = (familiar(network) for network in made)
    found = costs.time_networks({"first": first, "second": second, "other": other}, views=1)
    assert found == {"first": 1, "second": 1, "other": 2}
    assert timed == [first, other]


def test_networks_are_timed_with_the_views_that_they_are_asked_about(monkeypatch):
    timed = []
    monkeypatch.setattr(costs, "milliseconds_a_photo", lambda network: timed.append(network) or 1.0)
    network = familiar(scratch_network(32, 3, 0.1))
    costs.time_networks({"network": network}, views=2)
    photo = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    expected = average_views(network, 2).predict_on_batch(photo)
    (averaged,) = timed
    assert_close(averaged.predict_on_batch(photo), expected, 0)


def test_a_photo_takes_the_median_in_milliseconds_of_what_was_timed(monkeypatch):
    ticks = iter([0, 0.002, 1, 1.004, 2, 2.009, 3, 3.001, 4, 4.003])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(ticks))
    network = SimpleNamespace(input_shape=(None, 32, 32, 3), predict_on_batch=lambda photos: None)  # noqa: ARG005
    assert costs.milliseconds_a_photo(network) == pytest.approx(3)


def test_a_network_is_asked_about_one_photo_to_warm_up_and_then_as_often_as_it_is_timed():
    asked = []
    network = SimpleNamespace(input_shape=(None, 32, 32, 3), predict_on_batch=lambda photos: asked.append(photos.shape))
    costs.milliseconds_a_photo(network)
    assert asked == [(1, 32, 32, 3)] * (1 + costs.TIMED)


def test_a_files_description_counts_every_weight_and_tells_one_file_from_another(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(bytes(1_260_000))
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    found = costs.describe_file(network, path)
    assert found == {"parameters": 16, "megabytes": pytest.approx(1.3), "sha256": hash_file(path)}
    path.write_bytes(bytes(1_259_999) + b"1")
    assert costs.describe_file(network, path)["sha256"] != found["sha256"]
