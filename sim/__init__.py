"""MuJoCo worlds: arms, tasks and the one `gymnasium` environment that joins them.

Importing this package is cheap: it loads neither MuJoCo nor Gymnasium. Use `sim.env.make("panda", "lift")`,
or `gymnasium.make("sim.registration:robocat/panda-lift-v0")`.
"""

import os as _os
import sys as _sys

if _sys.platform == "linux":
    # MuJoCo reads its OpenGL backend once, when it is first imported: EGL renders without a display.
    _os.environ.setdefault("MUJOCO_GL", "egl")
    # Mesa's software rasteriser starts a thread per core for each context to share a picture's tiles of
    # 64 px, of which ours has one (`python -m bench sim` measures it). Hardware drivers ignore the variable.
    _os.environ.setdefault("LP_NUM_THREADS", "0")
