"""Calibration against published examples, scikit-learn and cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from stages.lib.evaluation.calibration import (
    TEMPERATURES,
    expected_calibration_error,
    fit_temperature,
    reliability,
    scale,
)


def test_calibration_error_of_the_example_in_the_documentation_of_torchmetrics():
    # https://lightning.ai/docs/torchmetrics/stable/classification/calibration_error.html, MulticlassCalibrationError
    probabilities = np.array([[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]])
    right = probabilities.argmax(axis=1) == np.array([0, 1, 2, 0])
    assert expected_calibration_error(right, probabilities.max(axis=1), bins=3) == pytest.approx(0.2)


def test_calibration_error_averages_within_a_bin_before_it_takes_the_difference():
    right = np.array([True, False, True, False])
    assert expected_calibration_error(right, np.full(4, 0.5), bins=10) == 0
    assert expected_calibration_error(right, np.full(4, 0.9), bins=10) == pytest.approx(0.4)
    assert expected_calibration_error(np.ones(4, bool), np.ones(4)) == 0


def test_a_confidence_on_a_bins_border_belongs_to_the_bin_below():
    right = np.array([True, False])
    # (0.4, 0.6] holds both: |1 - (0.6 + 0.5)| / 2; were 0.6 in the bin above: (|1 - 0.6| + |0 - 0.5|) / 2
    assert expected_calibration_error(right, np.array([0.6, 0.5]), bins=5) == pytest.approx(0.05)


def test_a_model_that_says_what_it_knows_has_next_to_no_calibration_error():
    generator = np.random.default_rng(1)
    confidence = generator.uniform(0.2, 1, 200_000)
    assert expected_calibration_error(generator.random(200_000) < confidence, confidence) < 0.005


@given(seed=st.integers(0, 1000), photos=st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_the_diagram_holds_every_photo_once_and_adds_up_to_the_error(seed, photos):
    generator = np.random.default_rng(seed)
    right, confidence = generator.random(photos) < 0.6, generator.uniform(0, 1, photos)
    points = reliability(right, confidence)
    assert points["photos"].sum() == photos
    assert np.average(points["accuracy"], weights=points["photos"]) == pytest.approx(right.mean())
    gaps = np.average((points["accuracy"] - points["confidence"]).abs(), weights=points["photos"])
    assert gaps == pytest.approx(expected_calibration_error(right, confidence))


def answers(seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Truth, drawn from the probabilities of logits, and the probabilities of those logits times ``sharpness``."""
    generator = np.random.default_rng(seed)
    true = scale(generator.dirichlet(np.ones(4), 4000), 1.0)
    actual = (generator.random((4000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return np.minimum(actual, 3), scale(true, 1 / sharpness)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_temperature_undoes_what_made_a_model_too_sure_or_not_sure_enough(sharpness):
    actual, probabilities = answers(1, sharpness)
    assert fit_temperature(actual, probabilities) == pytest.approx(sharpness, rel=0.05)


def test_temperature_is_scikit_learns_where_there_are_many_photos():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 20_000)
    photos = generator.normal(size=(20_000, 5)) + np.eye(5)[labels]
    model = LogisticRegression(C=100).fit(photos[:100], labels[:100])
    reference = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(photos[100:], labels[100:])
    probabilities = model.predict_proba(photos[100:])
    scaled = scale(probabilities, fit_temperature(labels[100:], probabilities))
    np.testing.assert_allclose(scaled, reference.predict_proba(photos[100:]), atol=1e-4)


@given(seed=st.integers(0, 100), sharpness=st.sampled_from([0.3, 1.0, 4.0]))
@settings(max_examples=15, deadline=None)
def test_scaling_changes_no_answer_and_all_but_never_raises_the_log_loss_that_it_was_fitted_on(seed, sharpness):
    actual, probabilities = answers(seed, sharpness)
    scaled = scale(probabilities, fit_temperature(actual, probabilities))
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    assert log_loss(actual, scaled) <= log_loss(actual, probabilities) + 1e-6  # one photo's worth among 4,000


@pytest.mark.parametrize("photos", [5, 50, 500])
def test_a_model_that_is_right_on_a_few_photos_is_made_no_surer_than_they_show(photos):
    probabilities = np.tile([0.6, 0.2, 0.2], (photos, 1))
    (confidence,) = set(scale(probabilities, fit_temperature(np.zeros(photos, int), probabilities)).max(axis=1))
    assert 1 - confidence == pytest.approx(1 / (photos + 2), rel=0.01)


def test_a_temperature_of_1_changes_nothing_and_certainty_stays_finite():
    probabilities = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], np.float32)
    np.testing.assert_allclose(scale(probabilities, 1.0), probabilities, atol=1e-7)
    assert np.isfinite(scale(probabilities, 0.1)).all()
    found = fit_temperature(np.array([0, 2]), probabilities)
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]
