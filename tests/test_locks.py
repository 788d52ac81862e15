"""One process at a time in a folder, and no lock outlives its holder."""

import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from demos.locks import Busy, alone, alone_with

ROOT = Path(__file__).parents[1]
HOLD = """
import sys
from pathlib import Path
from demos.locks import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="another process is at work in .*run; let it end first"):
            with alone(folder):
                pass
        waited: list[str] = []

        def wait() -> None:
            with alone(folder, wait=True):
                waited.append("mine")

        waiter = Thread(target=wait)
        waiter.start()
        waiter.join(0.2)
        assert waited == []
        holder.kill()
        waiter.join(10)
        assert waited == ["mine"]
    with alone(folder):
        pass


def test_an_error_gives_it_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(tmp_path):
        raise KeyError
    with alone(tmp_path):
        pass


def test_a_verb_that_has_a_store_to_itself_names_it_and_leaves_others_in(tmp_path: Path) -> None:
    store = tmp_path / "stores" / "mine"
    with alone_with(store, "collect") as beside:
        assert beside.parent == store.parent and not store.exists()
        with pytest.raises(
            Busy, match=f"^another `robocat collect` is at work in {store}; let it end first$"
        ):
            with alone_with(store, "collect"):
                pass
        with alone_with(store, "teleop"), alone_with(store.with_name("other"), "collect"):
            pass
    with alone_with(store, "collect"):
        pass
