"""Exports in parts: a kill costs one of them, and the end is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos import minari_set
from demos.parts import parts
from demos.robomimic import hdf5_write
from demos.select import ALL
from demos.store import EpisodeStore
from tests.fakes import fake_episode
from tests.killing import killed

h5py = pytest.importorskip("h5py", reason="the extra robomimic is not installed")
FORMATS = {
    "robomimic": (hdf5_write, "set.hdf5", "set.hdf5"),
    "minari": (minari_set, "sets", "sets/robocat/panda-lift-v0/data/main_data.hdf5"),
}


def test_parts_of_another_plan_are_thrown_away(tmp_path: Path) -> None:
    folder = tmp_path / "set" / ".parts"

    def stop(plan: dict[str, object], name: str) -> list[str]:
        with pytest.raises(KeyboardInterrupt), parts(folder, plan):
            (folder / name).touch()
            raise KeyboardInterrupt
        return sorted(path.name for path in folder.iterdir())

    assert stop({"of": "one"}, "a") == ["a", "plan.json"]
    assert stop({"of": "one"}, "b") == ["a", "b", "plan.json"]
    assert stop({"of": "another"}, "c") == ["c", "plan.json"]
    with parts(folder, {"of": "another"}) as there:
        assert (there / "c").exists()
    assert not folder.exists()


@pytest.mark.parametrize("name", FORMATS)
def test_killed_and_started_again_it_comes_to_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "minari":
        pytest.importorskip("minari", reason="the extra minari is not installed")
    module, out, file = FORMATS[name]
    store = EpisodeStore(tmp_path / "store")
    store.commit_many(fake_episode(np.random.default_rng(i), steps=3, seed=i) for i in range(5))
    module.export(store.path, out=tmp_path / "whole" / out, pick=ALL)
    target = tmp_path / "part" / out
    # Killed while the third part is written, then while they are joined.
    imports = f"import {module.__name__} as module\nfrom demos.select import ALL"
    imports += "\nfrom demos.store import EpisodeStore\nmodule.PART = 2"
    call = f"module.export(Path({str(store.path)!r}), out=Path({str(target)!r}), pick=ALL)"
    killed(imports, "(EpisodeStore, 'load')", 5, call)
    killed(imports, "(module, '_join')", 0, call)
    assert not (tmp_path / "part" / file).exists()
    monkeypatch.setattr(module, "PART", 2)
    module.export(store.path, out=target, pick=ALL)
    with h5py.File(tmp_path / "whole" / file) as whole, h5py.File(tmp_path / "part" / file) as part:
        assert _contents(part) == _contents(whole)
    assert not [*(tmp_path / "part").rglob("*parts*")]


def _contents(file: Any) -> dict[str, Any]:
    """All groups and datasets, with their attributes."""
    found: dict[str, Any] = {"": dict(file.attrs)}

    def visit(name: str, each: Any) -> None:
        data = each[()].tobytes() if isinstance(each, h5py.Dataset) else None
        found[name] = (data, {key: str(value) for key, value in each.attrs.items()})

    file.visititems(visit)
    return found
