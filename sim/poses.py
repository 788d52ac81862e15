"""Quaternions (w, x, y, z) and rotations: the only place that knows their order."""

import math

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
    # Number by number: for three of them arrays are slower.
    x, y, z = rotvec_rad.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = x / angle, y / angle, z / angle
    s, c = math.sin(angle), math.cos(angle)
    t = 1.0 - c
    return np.array(
        [
            [c + t * x * x, t * x * y - s * z, t * x * z + s * y],
            [t * x * y + s * z, c + t * y * y, t * y * z - s * x],
            [t * x * z - s * y, t * y * z + s * x, c + t * z * z],
        ]
    )


def rotation_log(rotation: Array) -> Array:
    """Rotation vector (3,) [rad] of a rotation matrix (3, 3) whose angle is below pi."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    x, y, z = zy - yz, xz - zx, yx - xy
    sine = math.sqrt(x * x + y * y + z * z) / 2
    angle = math.atan2(sine, (xx + yy + zz - 1) / 2)
    scale = 0.5 if sine < 1e-9 else angle / (2 * sine)
    return np.array([scale * x, scale * y, scale * z])


def wrap(angle_rad: float, period_rad: float) -> float:
    """The equivalent of `angle_rad` in [-period/2, period/2) [rad]."""
    return (angle_rad + period_rad / 2) % period_rad - period_rad / 2
