"""Finds an OpenGL backend that draws on this machine, or says what to install.

    robocat doctor          # also: python -m robocat.doctor
    robocat doctor --fix    # as root on Debian and Ubuntu: installs what is missing

The backend's name is all that goes to stdout, so that a script can say
`MUJOCO_GL=$(robocat doctor) robocat improve`; what it found goes to stderr.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from sim.gl import is_software

TIMEOUT_S = 60.0
"""A driver may hang in glReadPixels instead of failing; a machine that works needs about a second."""

# By the package manager's program: the command that installs EGL with Mesa's software renderer. PyOpenGL
# loads libGL even where EGL is the backend, so EGL's own library alone is not enough.
INSTALL = {
    "apt-get": ("apt-get", "install", "-y", "libegl1", "libgl1", "libgl1-mesa-dri", "libglvnd0"),
    "dnf": ("dnf", "install", "-y", "mesa-libEGL", "mesa-libGL", "mesa-dri-drivers", "libglvnd-egl"),
    "pacman": ("pacman", "-S", "--needed", "--noconfirm", "mesa", "libglvnd"),
}

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="plane" size="1 1 .1" rgba=".2 .3 .4 1"/>
    <geom type="box" size=".2 .2 .2" pos="0 0 .2" rgba=".9 .2 .1 1"/>
  </worldbody>
</mujoco>
"""


class NoBackend(OSError):
    """No OpenGL backend draws on this machine."""


@dataclass(frozen=True)
class Drawn:
    """What a backend that draws says of itself.

    Attributes:
        backend: The value of MUJOCO_GL: "egl", "osmesa", "glfw", "cgl" or "wgl".
        renderer: OpenGL's GL_RENDERER, "unknown" if it could not be asked.
    """

    backend: str
    renderer: str

    @property
    def software(self) -> bool:
        """Whether a CPU draws the images."""
        return is_software(self.renderer)


def main(*, fix: bool = False) -> None:
    """Finds an OpenGL backend that draws, or says what to install.

    Args:
        fix: Install what is missing; needs root and apt-get.

    Raises:
        NoBackend: If none draws, with the command that would help; if installing fails, with its error.
    """
    drawn = find()
    if drawn is None and fix and _package_manager() == "apt-get" and os.geteuid() == 0:
        _install(INSTALL["apt-get"])
        drawn = find()
    if drawn is None:
        raise NoBackend(f"MuJoCo cannot draw here ({', '.join(candidates())} tried); {advice()}")
    print(f"MuJoCo draws with {drawn.backend} on {drawn.renderer}", file=sys.stderr)
    if drawn.software:
        print("warning: software rendering: without a GPU, images are most of the time", file=sys.stderr)
    print(drawn.backend)


def find() -> Drawn | None:
    """Returns the first backend that draws, or None."""
    return next(filter(None, map(attempt, candidates())), None)


def candidates() -> list[str]:
    """The backends worth trying here, best first; what MUJOCO_GL asks for comes before all others."""
    if sys.platform != "linux":
        return ["cgl" if sys.platform == "darwin" else "wgl"]
    window = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    names = [os.environ.get("MUJOCO_GL", "").lower(), "egl", "osmesa", *(["glfw"] if window else [])]
    return [name for name in dict.fromkeys(names) if name]


def attempt(backend: str) -> Drawn | None:
    """Draws a small scene with one backend, in a process of its own: MuJoCo loads only one per process."""
    command = [sys.executable, "-c", "from robocat.doctor import draw; draw()"]
    env = os.environ | {"MUJOCO_GL": backend}
    env.pop("PYOPENGL_PLATFORM", None)  # MuJoCo sets it to suit, and refuses one that does not.
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return Drawn(backend, json.loads(done.stdout.splitlines()[-1]))


def draw() -> None:
    """Draws the scene with this process's backend and prints GL_RENDERER as a JSON string.

    Raises:
        NoBackend: If the image is uniform: a driver may load, and report no error, and draw nothing.
    """
    import mujoco
    from OpenGL import GL

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, height=64, width=64) as renderer:
        renderer.update_scene(data)
        image = renderer.render()  # uint8 (64, 64, 3)
        name = GL.glGetString(GL.GL_RENDERER)
    if image.min() == image.max():
        raise NoBackend(f"every pixel is {image.min()}")
    print(json.dumps(name.decode(errors="replace") if name else "unknown"))


def advice() -> str:
    """One line: the command that installs a backend on this system."""
    if sys.platform != "linux":
        return "its own OpenGL should have worked: run this from a desktop session"
    manager = _package_manager()
    if manager is None:
        return "install Mesa's EGL (libEGL.so.1, libGL.so.1 and a software renderer)"
    return f"install what is missing: {'' if os.geteuid() == 0 else 'sudo '}{' '.join(INSTALL[manager])}"


def _package_manager() -> str | None:
    return next((name for name in INSTALL if shutil.which(name)), None)


def _install(command: tuple[str, ...]) -> None:
    print(f"installing: {' '.join(command)}", file=sys.stderr)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (("apt-get", "update"), command):
        done = subprocess.run(step, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoBackend(f"{' '.join(step)} failed: {done.stderr.strip()}")


if __name__ == "__main__":
    import tyro

    try:
        tyro.cli(main, prog="python -m robocat.doctor")
    except NoBackend as error:
        sys.exit(f"robocat doctor: {error}")
