"""The console and the beat: silence stops the arm, nothing jumps, orders arrive once, no drift."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.cadence import Cadence
from demos.teleop.console import ORDERS, SILENT_S, SLEW, Console
from sim.arms import find_arm
from sim.arms.grippers import PANDA_HAND

numbers = st.floats(-1.0, 1.0, allow_nan=False)
axes = st.lists(numbers, min_size=6, max_size=6)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize("arm", ["panda", "kuka_hand", "panda_pair"])
def test_an_action_has_the_arms_numbers_in_their_order(arm: str) -> None:
    console = Console(find_arm(arm))
    console.move([0.1, 0.2, 0.3, -0.1, -0.2, -0.3])
    console.grip(True)
    said = dict(zip(find_arm(arm).action_names, console.command().commanded, strict=True))
    expected = {"x": 0.1, "y": 0.2, "z": 0.3, "roll": -0.1, "pitch": -0.2, "yaw": -0.3}
    for name, value in said.items():
        wanted = expected.get(name, 0.0 if name.split("_")[-1] in expected else -1.0)
        if name == "second_gripper":
            wanted = 1.0
        assert value == pytest.approx(wanted), name


def test_the_second_arm_moves_alone() -> None:
    arm = find_arm("panda_pair")
    console = Console(arm)
    console.move([0.0, 0.0, 0.3, 0.0, 0.0, 0.0])
    console.move([0.0, 0.0, -0.3, 0.0, 0.0, 0.0], limb=1)
    said = dict(zip(arm.action_names, console.command().limited, strict=True))
    assert (said["z"], said["second_z"]) == (0.0, pytest.approx(-0.3))


def test_silence_stops_the_arm_and_the_gripper_stays() -> None:
    clock = Clock()
    console = Console(find_arm("panda"), clock)
    console.move([0.3] * 6)
    console.grip(True)
    clock.now_s += SILENT_S - 0.01
    assert console.command().limited[0] > 0.0
    clock.now_s += 0.02
    command = console.command()
    np.testing.assert_array_equal(command.limited, [0.0, 0.0, 0.0, 0.0, -1.0])
    assert command.commanded[0] == pytest.approx(0.3), "what the device says is kept beside it"


@given(st.lists(axes, min_size=1, max_size=12))
def test_no_step_jumps_and_stopping_is_at_once(asked: list[list[float]]) -> None:
    console, before = Console(find_arm("kuka_hand")), np.zeros(6)
    for wanted in asked:
        console.move(wanted)
        limited = console.command().limited[:6].astype(float)
        slowing = np.abs(wanted) < np.abs(before)
        assert np.all((np.abs(limited - before) <= SLEW + 1e-6) | slowing)
        assert np.all(np.abs(limited) <= np.maximum(np.abs(wanted), np.abs(before)) + 1e-6)
        before = limited
    console.move([0.0] * 6)
    assert not console.command().limited[:6].any()


@given(st.lists(axes, min_size=1, max_size=12))
def test_what_is_asked_long_enough_is_done(asked: list[list[float]]) -> None:
    console = Console(find_arm("kuka_hand"))
    for wanted in asked:
        console.move(wanted)
        for _ in range(6):
            limited = console.command().limited[:6]
        np.testing.assert_allclose(limited, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        [0.0] * 5,
        [0.0] * 7,
        [2.0, 0, 0, 0, 0, 0],
        [float("nan"), 0, 0, 0, 0, 0],
        [float("inf"), 0, 0, 0, 0, 0],
        [10**400, 0, 0, 0, 0, 0],
    ],
)
def test_what_is_no_velocity_is_refused(bad: list[float]) -> None:
    console = Console(find_arm("panda"))
    with pytest.raises(ValueError, match=r"expected 6 numbers in \[-1, 1\]"):
        console.move(bad)
    assert not console.command().commanded[:4].any()


def test_other_arms_orders_and_views_are_refused() -> None:
    console = Console(find_arm("panda"))
    with pytest.raises(ValueError, match="limb: got 1, expected one of 0"):
        console.move([0.0] * 6, limb=1)
    with pytest.raises(ValueError, match="expected one of start, keep"):
        console.ask("explode")
    with pytest.raises(ValueError, match="expected one of front, wrist, around"):
        console.look_from("back", 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="0.3 to 3 m"):
        console.look_from("around", 0.0, 0.0, 100.0)


@given(axes, st.booleans())
def test_another_action_is_gone_on_from(done: list[float], shut: bool) -> None:
    console = Console(find_arm("kuka_hand"))
    action = np.array([*done, *[-1.0 if shut else 1.0] * 8], np.float32)
    console.follow(action)
    assert console.closed == (shut,)
    console.move([1.0] * 6)
    assert np.all(console.command().limited[:6] <= action[:6] + SLEW + 1e-6)


def test_fingers_are_moved_one_by_one_and_stay_so() -> None:
    """A hand's every shape, and whoever acted before."""
    arm = find_arm("kuka_hand")
    console = Console(arm)
    assert arm.gripper.shapes
    for name, numbers in arm.gripper.shapes:
        console.shape(numbers)
        command = console.command()
        np.testing.assert_array_equal(command.commanded[6:], np.float32(numbers), err_msg=name)
        np.testing.assert_array_equal(command.limited[6:], np.float32(numbers))
        assert console.fingers == (numbers,)
    mine = np.linspace(-1.0, 1.0, 8)
    console.follow(np.array([*[0.0] * 6, *mine], np.float32))
    np.testing.assert_allclose(console.command().limited[6:], mine, atol=1e-6)
    console.grip(True)
    assert console.closed == (True,) and console.fingers == ((-1.0,) * 8,)
    for wrong in ([0.0] * 7, [1.1] * 8, [float("nan")] * 8, "open", [10**400] * 8):
        with pytest.raises(
            ValueError, match=r"fingers: got .*, expected 8 numbers in \[-1, 1\]|could not convert"
        ):
            console.shape(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="expected one of 0"):
        console.shape([1.0] * 8, limb=1)


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape 'odd': got \(2.0,\), expected 1 numbers in"):
        replace(PANDA_HAND, shapes=(("odd", (2.0,)),))


def test_a_person_who_is_there_need_not_move() -> None:
    clock = Clock()
    console = Console(find_arm("panda"), clock)
    assert console.silence_s == np.inf
    console.here()
    clock.now_s += 0.1
    assert console.silence_s == pytest.approx(0.1)
    assert not console.command().limited[:4].any()


def test_orders_arrive_once_and_in_order() -> None:
    console = Console(find_arm("panda"))
    for order in ORDERS:
        console.ask(order)
    assert console.orders() == [*ORDERS]
    assert console.orders() == []


def test_the_beat_does_not_drift() -> None:
    clock = Clock()
    cadence = Cadence(20.0, clock, clock.sleep)
    for tick in range(1, 50):
        clock.now_s += 0.03  # of work
        cadence.wait()
        assert clock.now_s == pytest.approx(100.0 + tick * 0.05)
    figures = cadence.figures
    assert (figures.late, figures.ticks) == (0, 49)
    assert figures.p50_ms == pytest.approx(50.0) and figures.p95_ms == pytest.approx(50.0)


def test_a_late_tick_is_told_of_and_not_made_up_for_in_a_hurry() -> None:
    clock = Clock()
    cadence = Cadence(20.0, clock, clock.sleep)
    cadence.wait()
    clock.now_s += 1.0
    cadence.wait()
    assert cadence.figures.late == 1
    after = clock.now_s
    cadence.wait()
    cadence.wait()
    assert clock.now_s - after == pytest.approx(0.1)
