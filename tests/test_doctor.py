"""The doctor finds what draws here, and elsewhere says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from robocat import doctor
from robocat.doctor import Drawn, NoBackend

ROOT = Path(__file__).parents[1]


def test_this_machine_draws() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "robocat.doctor"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout in ("egl\n", "osmesa\n", "glfw\n", "cgl\n", "wgl\n")
    assert done.stderr.startswith(f"MuJoCo draws with {done.stdout.strip()} on ")
    assert done.stderr.count("warning") <= 1


def test_a_backend_that_is_none_does_not_draw() -> None:
    assert doctor.attempt("nosuch") is None


def test_candidates_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert doctor.candidates() == ["egl", "osmesa"]
    monkeypatch.setenv("DISPLAY", ":0")
    assert doctor.candidates() == ["egl", "osmesa", "glfw"]
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert doctor.candidates() == ["osmesa", "egl", "glfw"]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert doctor.candidates() == ["cgl"]


@pytest.mark.parametrize(
    ("renderer", "software"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", True),
        ("Google SwiftShader", True),
        ("NVIDIA H100 80GB HBM3/PCIe/SSE2", False),
        ("Apple M2", False),
    ],
)
def test_software_renderers_are_recognised(renderer: str, software: bool) -> None:
    assert Drawn("egl", renderer).software is software


@pytest.mark.parametrize(
    ("manager", "uid", "said"),
    [
        ("apt-get", 0, "missing: apt-get install -y libegl1 "),
        ("apt-get", 1000, "missing: sudo apt-get install -y libegl1 "),
        ("dnf", 1000, "missing: sudo dnf install -y mesa-libEGL "),
        ("pacman", 1000, "missing: sudo pacman -S --needed --noconfirm mesa "),
        (None, 0, "install Mesa's EGL"),
    ],
)
def test_a_machine_that_draws_nothing_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, manager: str | None, uid: int, said: str
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "find", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: name if name == manager else None)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    with pytest.raises(NoBackend) as error:
        doctor.main()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fix", "uid", "installed"), [(True, 0, True), (True, 1000, False), (False, 0, False)]
)
def test_only_root_installs_and_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fix: bool, uid: int, installed: bool
) -> None:
    ran: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "find", lambda: Drawn("egl", "llvmpipe") if ran else None)
    monkeypatch.setattr("shutil.which", lambda name: name if name == "apt-get" else None)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(subprocess, "run", run)
    if not installed:
        with pytest.raises(NoBackend):
            doctor.main(fix=fix)
        assert ran == []
        return
    doctor.main(fix=fix)
    assert ran == [("apt-get", "update"), doctor.INSTALL["apt-get"]]
    assert capsys.readouterr().out == "egl\n"


def test_an_installation_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess(("apt-get", "update"), 100, stderr="E: no network\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "find", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: name if name == "apt-get" else None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(NoBackend, match="apt-get update failed: E: no network"):
        doctor.main(fix=True)
