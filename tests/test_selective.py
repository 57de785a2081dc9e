"""When a model is sure enough to answer: curves and thresholds worked out by hand, and what holds for any answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.evaluation.selective import find_threshold, is_sure, risk_coverage

RIGHT = np.array([True, False, True, True, False])
CONFIDENCE = np.array([0.9, 0.8, 0.8, 0.6, 0.5])


def test_curve_of_a_case_worked_out_by_hand_answers_photos_of_equal_confidence_together():
    curve = risk_coverage(RIGHT, CONFIDENCE)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.6, 0.5]
    assert curve["coverage"].tolist() == pytest.approx([0.2, 0.6, 0.8, 1])
    assert curve["risk"].tolist() == pytest.approx([0, 1 / 3, 1 / 4, 2 / 5])


@pytest.mark.parametrize(("target", "threshold"), [(1, 0.9), (0.75, 0.6), (0.7, 0.6), (0.6, 0.5)])
def test_threshold_is_the_lowest_that_reaches_the_target(target, threshold):
    assert find_threshold(RIGHT, CONFIDENCE, target) == threshold


def test_a_target_of_nine_in_ten_is_reached_by_nine_in_ten():
    assert find_threshold(np.arange(10) > 0, np.full(10, 0.7), 0.9) == 0.7


def test_where_the_most_confident_answer_is_wrong_there_may_be_no_threshold_and_nothing_is_sure():
    threshold = find_threshold(np.array([False, True]), np.array([0.9, 0.5]), 0.9)
    assert threshold is None
    assert not is_sure(CONFIDENCE, threshold).any()
    assert not is_sure(0.99, threshold)


@given(seed=st.integers(0, 1000), photos=st.integers(1, 200), target=st.sampled_from([0.5, 0.8, 0.95, 1.0]))
@settings(max_examples=50, deadline=None)
def test_what_is_sure_reaches_the_target_on_the_photos_that_the_threshold_was_found_on(seed, photos, target):
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0, 1, photos).astype(np.float32)
    right = generator.random(photos) < confidence
    curve = risk_coverage(right, confidence)
    assert curve["coverage"].is_monotonic_increasing
    assert curve["coverage"].iloc[-1] == 1
    assert curve["risk"].iloc[-1] == pytest.approx((~right).mean())
    threshold = find_threshold(right, confidence, target)
    if threshold is None:
        assert (curve["risk"] > 1 - target).all()
    else:
        assert right[is_sure(confidence, threshold)].mean() >= target - 1e-9
