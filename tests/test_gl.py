"""Software rendering is said once, by the first process, whatever is drawn afterwards."""

import logging
import subprocess
import sys

import pytest

from sim import gl

DRAW = """
from sim.env import make
for size in (16, 32):
    make("panda", "reach", size=size).reset(seed=0)
"""


@pytest.fixture(autouse=True)
def _forget() -> None:  # pyright: ignore[reportUnusedFunction]
    gl.say.cache_clear()


@pytest.mark.parametrize(
    ("renderer", "times"), [("llvmpipe (LLVM 15.0.6, 256 bits)", 1), ("NVIDIA H100 80GB HBM3/PCIe/SSE2", 0)]
)
def test_it_is_said_once(renderer: str, times: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "robocat"):
        for _ in range(3):
            gl.say(renderer)
    assert [renderer in record.getMessage() for record in caplog.records] == [True] * times


def test_a_worker_leaves_it_to_the_first_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gl, "parent_process", object)
    with caplog.at_level(logging.WARNING, "robocat"):
        gl.say("llvmpipe")
    assert not caplog.records


def test_a_program_that_draws_says_it_on_stderr() -> None:
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True)
    from sim.env import make

    renderer = make("panda", "reach", size=16).gl_renderer
    assert done.stderr.count("software rendering") == int(gl.is_software(renderer))
