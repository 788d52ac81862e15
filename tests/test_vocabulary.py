"""Values and bins: round trips, ends, order, and a slot for every number of every arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robocat.vocabulary import (
    ACTION_SLOTS,
    BINS,
    PROPRIO_SLOTS,
    decode,
    decode_action,
    embodiment,
    encode,
    encode_action,
    slots,
)
from sim.arms import ARMS
from sim.arms.arm import Arm
from sim.proprioception import channels

HALF_BIN = 1.0 / BINS  # of an action, whose range is 2 wide

arms = pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)


@given(
    low=st.floats(-100, 100),
    width=st.floats(1e-3, 200),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_round_trip_errs_by_half_a_bin(low: float, width: float, shares: list[float]) -> None:
    high = low + width
    values = np.clip(low + np.array(shares) * width, low, high)
    again = decode(encode(values, low, high), low, high)
    rounding = 2e-7 * (abs(low) + width)  # decoded values are float32
    assert np.abs(again - values).max() <= width / BINS / 2 + rounding


@given(st.floats(-1, 1, width=32))
def test_actions_round_trip(action: float) -> None:
    again = decode_action(encode_action([action]))
    assert again.dtype == np.float32
    assert abs(float(again[0]) - action) <= HALF_BIN + 1e-7
    assert -1 < again[0] < 1


def test_both_ends_are_valid() -> None:
    assert encode_action([-1.0, 1.0]).tolist() == [0, BINS - 1]
    assert decode_action([0, BINS - 1]) == pytest.approx([-1 + HALF_BIN, 1 - HALF_BIN])


@arms
def test_every_bin_of_every_channel_is_a_fixed_point(arm: Arm) -> None:
    """What was decoded is encoded to the same bin again, in float32, over every declared range."""
    bins = np.arange(BINS, dtype=np.uint16)
    assert np.array_equal(encode_action(decode_action(bins)), bins)
    for channel in channels(arm):
        again = encode(decode(bins, channel.low, channel.high), channel.low, channel.high)
        assert np.array_equal(again, bins), channel.name


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_order_is_kept(values: list[float]) -> None:
    bins = encode_action(np.sort(values)).astype(int)
    assert (np.diff(bins) >= 0).all()


def test_values_beyond_the_range_fall_into_the_end_bins() -> None:
    assert encode([-5.0, -1.001, 1.001, 1e30], -1, 1).tolist() == [0, 0, BINS - 1, BINS - 1]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="not finite: .*(nan|inf)"):
        encode([[0.0, wrong]], [-1, -1], [1, 1])


def test_each_column_has_a_range_of_its_own() -> None:
    bins = encode([[0.0, 0.0], [1.0, 1.0]], [0.0, -1.0], [1.0, 3.0])
    assert bins.tolist() == [[0, 256], [1023, 512]]
    assert bins.dtype == np.uint16


@arms
def test_every_number_of_every_arm_has_a_slot_of_its_own(arm: Arm) -> None:
    names = [channel.name for channel in channels(arm)]
    body = embodiment(names, arm.action_names)
    assert [PROPRIO_SLOTS[slot] for slot in body.proprio] == names
    assert [ACTION_SLOTS[slot] for slot in body.action] == list(arm.action_names)
    assert len(set(body.proprio)) == len(names)
    assert len(set(body.action)) == arm.action_size


def test_slots_have_different_names() -> None:
    assert len(set(PROPRIO_SLOTS)) == len(PROPRIO_SLOTS)
    assert len(set(ACTION_SLOTS)) == len(ACTION_SLOTS)


def test_a_number_without_a_slot_is_named() -> None:
    with pytest.raises(ValueError, match="no action slot for warp; slots: x, y, z, "):
        slots(["x", "warp"], ACTION_SLOTS, "action")
