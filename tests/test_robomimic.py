"""Stores as robomimic's files and back: ours come back bit by bit, another project's as far as they go."""

import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from demos.collect import Collection, collect_experts
from demos.foreign import Terms
from demos.replay import replay
from demos.robomimic import hdf5_write
from demos.robomimic.hdf5_read import import_
from demos.robomimic.hdf5_write import export
from demos.select import ALL, Selection
from demos.store import EpisodeStore
from robocat.cli import main
from tests.fakes import fake_episode, same_episode

h5py = pytest.importorskip("h5py", reason="the extra robomimic is not installed")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    """Episodes that were simulated."""
    path = tmp_path_factory.mktemp("real") / "store"
    collect_experts(path, Collection(("panda",), ("reach",), episodes=4, size=16), 1, "demonstrations")
    return EpisodeStore(path)


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    """Made up: of a policy that was shown goals, some of them failures."""
    rng = np.random.default_rng(0)
    store = EpisodeStore(tmp_path / "made-up")
    for seed in range(6):
        acted = {"controller": "policy", "policy": "cat", "generation": 1} if seed % 2 else {}
        store.commit(fake_episode(rng, steps=3 + seed, seed=seed, success=seed != 4, **acted))
    return store


def test_ours_come_back_as_they_were(store: EpisodeStore, tmp_path: Path) -> None:
    export(store.path, out=tmp_path / "all.hdf5", pick=ALL)
    import_(tmp_path / "all.hdf5", out=tmp_path / "back")
    back = EpisodeStore(tmp_path / "back")
    assert back.digest() == store.digest()
    assert all(same_episode(back.load(id), store.load(id)) for id in store.ids())
    import_(tmp_path / "all.hdf5", out=tmp_path / "back")  # again: nothing is new
    assert back.digest() == store.digest()


def test_what_comes_back_replays(real: EpisodeStore, tmp_path: Path) -> None:
    export(real.path, out=tmp_path / "set.hdf5")
    import_(tmp_path / "set.hdf5", out=tmp_path / "back")
    back = EpisodeStore(tmp_path / "back")
    episode = back.load(back.ids()[0])
    again = replay(episode)
    np.testing.assert_array_equal(again.state, episode.state)
    np.testing.assert_array_equal(again.images["front"], episode.images["front"])


def test_the_file_is_laid_out_as_the_format_says(real: EpisodeStore, tmp_path: Path) -> None:
    export(real.path, out=tmp_path / "set.hdf5")
    episodes = [real.load(entry.id) for entry in real.entries() if entry.success]
    with h5py.File(tmp_path / "set.hdf5") as file:
        data = file["data"]
        about = json.loads(data.attrs["env_args"])
        assert about["env_name"] == "robocat/panda-reach-v0"
        assert about["env_kwargs"] == {"cameras": ["front", "wrist"], "size": 16, "control_hz": 10}
        assert data.attrs["total"] == sum(episode.length for episode in episodes)
        for number, episode in enumerate(episodes):
            demo = data[f"demo_{number}"]
            steps = demo.attrs["num_samples"]
            assert steps == episode.length
            for name in ("actions", "states", "rewards", "dones", "obs/proprio", "next_obs/front_image"):
                assert len(demo[name]) == steps
            np.testing.assert_array_equal(demo["obs/wrist_image"][:], episode.images["wrist"][:-1])
            np.testing.assert_array_equal(demo["next_obs/proprio"][:], episode.proprio[1:])
            assert demo["dones"][:].tolist() == [0] * (steps - 1) + [1]
            model = mujoco.MjModel.from_xml_string(demo.attrs["model_file"])
            size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION)
            assert demo["states"].shape == (steps, size)
        names = [name.decode() for mask in ("train", "valid") for name in file[f"mask/{mask}"][:]]
        assert sorted(names) == sorted(data)


def _theirs(path: Path, **changes: Any) -> None:
    """A file such as robosuite's, without what only we write."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs = {"robots": ["Panda"], "control_freq": 20}
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": kwargs})
        for number, steps in ((2, 4), (10, 6)):
            arrays: dict[str, Any] = {
                "actions": rng.uniform(-1, 1, (steps, 7)),
                "states": rng.normal(size=(steps, 32)),
                "rewards": np.eye(steps)[-1],
                "obs/eef_pos": rng.normal(size=(steps, 3)),
                "obs/gripper": rng.normal(size=(steps, 1)),
                "obs/agentview_image": rng.integers(0, 256, (steps, 8, 8, 3), dtype=np.uint8),
                "next_obs/eef_pos": rng.normal(size=(steps, 3)),
            }
            for name, array in {**arrays, **changes}.items():
                if array is not None:
                    data[f"demo_{number}/{name}"] = array


def test_another_projects_file_is_read(tmp_path: Path) -> None:
    _theirs(tmp_path / "theirs.hdf5")
    import_(tmp_path / "theirs.hdf5", out=tmp_path / "store")
    store = EpisodeStore(tmp_path / "store")
    entries = sorted(store.entries(), key=lambda entry: entry.seed)
    assert [(e.arm, e.task, e.seed, e.length) for e in entries] == [
        ("panda", "lift", 2, 4),
        ("panda", "lift", 10, 6),
    ]
    with h5py.File(tmp_path / "theirs.hdf5") as file:
        demo, episode = file["data/demo_2"], store.load(entries[0].id)
        np.testing.assert_allclose(episode.action, demo["actions"][:], atol=1e-7)
        np.testing.assert_array_equal(episode.images["agentview"][:-1], demo["obs/agentview_image"][:])
        np.testing.assert_array_equal(episode.state[:-1], demo["states"][:])
        assert episode.meta.proprio_names == ("eef_pos_0", "eef_pos_1", "eef_pos_2", "gripper_0")
        np.testing.assert_allclose(episode.proprio[:-1, :3], demo["obs/eef_pos"][:], rtol=1e-6)
        np.testing.assert_allclose(episode.proprio[-1, :3], demo["next_obs/eef_pos"][-1], rtol=1e-6)
        assert episode.proprio[-1, 3] == episode.proprio[-2, 3]  # no later one is in the file
    assert episode.meta.control_hz == 20.0
    assert (episode.succeeded, episode.meta.outcome.judged_by) == (True, "reward")
    assert episode.success.tolist() == [False, False, False, True]
    for name, (low, high) in zip(episode.meta.proprio_names, episode.meta.proprio_ranges, strict=True):
        assert low < high, name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": np.full((4, 7), 3.0)}, r"actions are action_0 3 to 3.*--scale-actions scales them"),
        ({"rewards": None}, "nothing says whether recording 2 succeeded: say --outcome"),
        (
            dict.fromkeys(("obs/eef_pos", "obs/gripper", "obs/agentview_image")),
            "demo_2 has no 'obs'; it has actions",
        ),
        ({"actions": None}, "demo_2 has no 'actions'; it has"),
        (
            {"obs/wrist_image": np.zeros((4, 16, 16, 3), np.uint8)},
            "pictures are agentview 8 x 8, wrist 16 x 16 px",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    _theirs(tmp_path / "theirs.hdf5", **changes)
    with pytest.raises(ValueError, match=said):
        import_(tmp_path / "theirs.hdf5", out=tmp_path / "store")


def test_interrupted_and_repeated(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both go on with what is not there yet, and the export's parts go in the end."""
    monkeypatch.setattr(hdf5_write, "PART", 2)
    write, commit, left = hdf5_write.write_demo, EpisodeStore.commit, [3]

    def three(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return (commit if len(arguments) == 2 else write)(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(hdf5_write, "write_demo", three)
        export(store.path, out=tmp_path / "set.hdf5", pick=ALL)
    assert not (tmp_path / "set.hdf5").exists()
    (kept,) = (tmp_path / ".set.hdf5.parts").glob("*.hdf5")
    before = kept.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(hdf5_write, "write_demo", lambda *a: (_same_time(kept, before), write(*a)))
        export(store.path, out=tmp_path / "set.hdf5", pick=ALL)
    assert not [*tmp_path.glob(".set.hdf5*")]
    left[0] = 3
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EpisodeStore, "commit", three)
        import_(tmp_path / "set.hdf5", out=tmp_path / "back")
    assert len(EpisodeStore(tmp_path / "back")) == 3
    import_(tmp_path / "set.hdf5", out=tmp_path / "back")
    assert EpisodeStore(tmp_path / "back").digest() == store.digest()


def _same_time(path: Path, mtime_ns: int) -> None:
    assert path.stat().st_mtime_ns == mtime_ns


def test_states_and_actions_alone_are_replayed(
    real: EpisodeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file such as robosuite's, without observations, in one of our environments."""
    export(real.path, out=tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "a") as file:
        for demo in file["data"].values():
            for name in [name for name in demo if name not in ("states", "actions")]:
                del demo[name]
            del demo.attrs["robocat"]
    import_(tmp_path / "set.hdf5", out=tmp_path / "back")
    assert "- replayed: states are the file's, bit by bit" in capsys.readouterr().out
    back = EpisodeStore(tmp_path / "back")
    originals = [real.load(entry.id) for entry in real.entries() if entry.success]
    assert len(back) == len(originals)
    for number, original in enumerate(originals):
        again = next(back.load(entry.id) for entry in back.entries() if entry.seed == number)
        for name in ("state", "action", "proprio", "success", "progress"):
            np.testing.assert_array_equal(getattr(again, name), getattr(original, name))
        for camera in original.images:
            np.testing.assert_array_equal(again.images[camera], original.images[camera])
        assert again.meta.provenance.controller == "teleop"
        assert (again.meta.variation, again.succeeded) == (original.meta.variation, True)


@pytest.mark.parametrize(
    ("about", "variation", "said"),
    [
        ({"env_name": "robocat/panda-nothing-v0"}, None, "there is no such environment"),
        (
            {"env_name": "robocat/panda-stack-v0"},
            None,
            "demo_0 does not say which variation: say --variation",
        ),
        ({"env_name": "robocat/panda-stack-v0"}, "red", "unknown stack variation 'red'"),
        ({"env_name": "robocat/panda-stack-v0"}, "red-on-blue", "actions the environment has not ended"),
        ({"env_name": "robocat/ur5e-stack-v0"}, "red-on-blue", "state has shape"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    real: EpisodeStore, tmp_path: Path, about: dict[str, Any], variation: str | None, said: str
) -> None:
    export(real.path, out=tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "a") as file:
        file["data"].attrs["env_args"] = json.dumps(about)
        for demo in file["data"].values():
            del demo["obs"], demo.attrs["robocat"], demo.attrs["ep_meta"]
    with pytest.raises(ValueError, match=said):
        import_(tmp_path / "set.hdf5", out=tmp_path / "back", variation=variation)


def test_two_files_are_not_taken_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same arm, task and numbers, and other actions."""
    _theirs(tmp_path / "one.hdf5")
    _theirs(tmp_path / "other.hdf5", rewards=None, dones=np.zeros(1))
    with h5py.File(tmp_path / "other.hdf5", "a") as file:
        file["data/demo_2/actions"][0] *= -1
        file["data/demo_2/language"] = "lift it"
    import_(tmp_path / "one.hdf5", out=tmp_path / "store")
    with pytest.raises(ValueError, match="has another episode panda-lift-teleop-000002-.*--first-seed"):
        import_(tmp_path / "other.hdf5", out=tmp_path / "store", terms=Terms(outcome="failure"))
    capsys.readouterr()
    import_(tmp_path / "other.hdf5", out=tmp_path / "store", terms=Terms(outcome="failure", first_seed=100))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "- left out: language",
        "- nothing was recorded after the last action: the last observation stands twice",
        "- nothing says what the demonstrations came to: failure, as was said",
        "- the actions meant are those executed, and progress is not told",
        "- states are kept, but are of another simulation: here they cannot be replayed",
    ]
    assert len(EpisodeStore(tmp_path / "store")) == 4


def test_one_arm_and_task_a_file(store: EpisodeStore, tmp_path: Path) -> None:
    store.commit(fake_episode(np.random.default_rng(0), task="push"))
    with pytest.raises(
        ValueError, match="has episodes of panda lift, panda push; a set has one arm and task"
    ):
        export(store.path, out=tmp_path / "set.hdf5")
    export(store.path, out=tmp_path / "set.hdf5", pick=Selection(tasks=("push",)))
    assert main(["data", "import", "robomimic", str(tmp_path / "no.hdf5"), "--out", str(tmp_path / "x")]) == 1
    (tmp_path / "empty.hdf5").write_bytes(b"")
    assert (
        main(["data", "import", "robomimic", str(tmp_path / "empty.hdf5"), "--out", str(tmp_path / "x")]) == 1
    )
