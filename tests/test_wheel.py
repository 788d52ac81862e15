"""The wheel holds everything, and works from a folder that is not the repository."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sim", "demos", "robocat", "finetune")


def _run(*command: str | Path, cwd: Path) -> str:
    # What the repository's own path would find is not what the wheel holds.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy because setuptools writes beside its sources; needs no network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, which borrows our dependencies; its `bin` folder."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install")
    _run(*pip, "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    # After its own packages on the path; `.pth` files found there are not read, so no editable robocat is.
    (own,) = home.glob("lib/python*/site-packages")
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return home / "bin"


def test_wheel_holds_every_module_and_asset(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tree = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    assert inside == {path.relative_to(ROOT).as_posix() for path in tree if "__pycache__" not in path.parts}


def test_wheel_holds_the_arms(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    assert "sim/assets/panda.xml" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def test_installed_command_lists_the_arms_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    where = "import sim, robocat; print(sim.__file__, robocat.__file__)"
    assert str(ROOT) + os.sep not in _run(installed / "python", "-c", where, cwd=tmp_path)
    listed = _run(installed / "robocat", "arms", cwd=tmp_path)
    for arm in ("panda", "sawyer", "ur5e", "kuka_iiwa14", "kuka_hand"):
        assert arm in listed


def test_installed_arms_compile_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    """The files that an arm names are found beside the installed code."""
    code = (
        "import mujoco, sim; from pathlib import Path; from sim.arms import ARMS\n"
        "for arm in ARMS.values():\n"
        "    path = Path(sim.__file__).parent / 'assets' / arm.mjcf\n"
        "    print(arm.name, mujoco.MjModel.from_xml_path(str(path)).nq)\n"
    )
    assert "panda 7" in _run(installed / "python", "-c", code, cwd=tmp_path).splitlines()
