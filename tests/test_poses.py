"""Rotations, checked by the axioms that they must satisfy and against MuJoCo."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.poses import DOWN, Array, quaternion_z, rotation_exp, rotation_log, rotation_z, wrap

angles = st.floats(-10.0, 10.0)
vectors = st.tuples(*[st.floats(-1.7, 1.7)] * 3).map(np.array)  # Norm below pi.


def is_rotation(matrix: Array) -> bool:
    return np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-12) and np.isclose(np.linalg.det(matrix), 1.0)


def test_down_is_a_rotation_that_points_down() -> None:
    assert is_rotation(DOWN)
    np.testing.assert_array_equal(DOWN @ [0.0, 0.0, 1.0], [0.0, 0.0, -1.0])


@given(angles)
def test_the_three_rotations_about_z_agree(angle: float) -> None:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion_z(angle))
    np.testing.assert_allclose(rotation_z(angle), matrix.reshape(3, 3), atol=1e-12)
    np.testing.assert_allclose(rotation_exp(np.array([0.0, 0.0, angle])), matrix.reshape(3, 3), atol=1e-12)


@given(angles, angles)
def test_rotations_about_one_axis_add_up(one: float, other: float) -> None:
    np.testing.assert_allclose(rotation_z(one) @ rotation_z(other), rotation_z(one + other), atol=1e-12)


@given(vectors)
def test_exp_is_a_rotation_about_its_vector_and_log_its_inverse(vector: Array) -> None:
    matrix = rotation_exp(vector)
    assert is_rotation(matrix)
    np.testing.assert_allclose(matrix @ vector, vector, atol=1e-12)
    np.testing.assert_allclose(rotation_exp(-vector), matrix.T, atol=1e-12)
    np.testing.assert_allclose(rotation_log(matrix), vector, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-14, 1e-10, 1e-7, 3.0])
def test_exp_and_log_hold_for_small_and_large_angles(size: float) -> None:
    vector = size * np.array([0.6, 0.0, -0.8])
    np.testing.assert_allclose(rotation_log(rotation_exp(vector)), vector, atol=1e-13, rtol=1e-6)


@given(angles, st.sampled_from([np.pi / 2, np.pi, 2 * np.pi]))
def test_wrapping_keeps_the_angle_and_makes_it_small(angle: float, period: float) -> None:
    wrapped = wrap(angle, period)
    assert -period / 2 <= wrapped < period / 2 + 1e-12
    turns = (angle - wrapped) / period
    assert turns == pytest.approx(round(turns), abs=1e-9)
