"""Quaternions (w, x, y, z) and rotations: the only place that knows their order."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Axes of a tool frame (columns) that points straight down, unturned: z out of the gripper, x (the direction
# in which the fingers close) along world y, y along world x.
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def rotation_z(angle_rad: float) -> Array:
    """Rotation matrix (3, 3) about world z by `angle_rad` [rad]."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def quaternion_z(angle_rad: float) -> Array:
    """Quaternion (w, x, y, z) of a rotation about world z by `angle_rad` [rad]."""
    return np.array([np.cos(angle_rad / 2), 0.0, 0.0, np.sin(angle_rad / 2)])


def rotation_exp(rotvec_rad: Array) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,) [rad] (Rodrigues' formula)."""
    angle = float(np.linalg.norm(rotvec_rad))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = rotvec_rad / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def rotation_log(rotation: Array) -> Array:
    """Rotation vector (3,) [rad] of a rotation matrix (3, 3) whose angle is below pi."""
    axis = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = float(np.linalg.norm(axis)) / 2
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1) / 2))
    return axis / 2 if sine < 1e-9 else axis / (2 * sine) * angle


def wrap(angle_rad: float, period_rad: float) -> float:
    """The equivalent of `angle_rad` in [-period/2, period/2) [rad]."""
    return (angle_rad + period_rad / 2) % period_rad - period_rad / 2
