"""Practice: attempts are stored with who acted; interrupted, repeated and divided they are the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demos import workers
from demos.manifest import StoreError
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, work
from finetune.practice import practise, practise_episodes
from robocat.checkpoint import CheckpointError
from robocat.config import Practice
from robocat.data import Data
from robocat.evaluate import Bench
from robocat.policy import Policy
from sim.names import UnknownName
from sim.randomisation import find_randomisation

PLAN = Practice(episodes=4, explore=0.1, first_seed=2000)
# Both in the store of demonstrations, which lends the goals.
REACH, OTHER = ("panda", "reach"), ("ur5e", "reach")


@pytest.fixture
def bench(tokeniser: Path, demos: Path) -> Bench:
    return Bench(tokeniser, demos, workers=1)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(workers, "PIECE", 2)


@pytest.fixture(scope="module")
def whole(
    agent: Path, tokeniser: Path, demos: Path, tmp_path_factory: pytest.TempPathFactory
) -> EpisodeStore:
    """What four attempts come to, undisturbed."""
    out = tmp_path_factory.mktemp("practice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "PIECE", 2)
        practise_episodes(agent, REACH, Bench(tokeniser, demos, workers=1), out=out, plan=PLAN)
    return EpisodeStore(out)


def test_every_attempt_is_stored_with_who_acted(agent: Path, tokeniser: Path, whole: EpisodeStore) -> None:
    who = Policy(agent, tokeniser).provenance(0).policy
    entries = sorted(whole.entries(), key=lambda entry: entry.seed)
    assert [entry.seed for entry in entries] == [2000, 2001, 2002, 2003]
    assert [entry.variation for entry in entries] == ["red", "green", "blue", "red"]
    for entry in entries:
        assert (entry.arm, entry.task, entry.controller) == ("panda", "reach", "policy")
        assert (entry.policy, entry.generation) == (who, 0)
        episode = whole.load(entry.id)
        assert episode.meta.outcome.judged_by == "predicate"
        assert set(episode.goal) == set(episode.meta.cameras)
        assert (episode.action != episode.label).any()  # it explored


def test_goals_are_ends_of_demonstrations(demos: Path, whole: EpisodeStore) -> None:
    store = EpisodeStore(demos)
    ends: dict[str, list[bytes]] = {}
    for entry in store.entries():
        if (entry.arm, entry.task) == REACH:
            frame = store.frames(entry.id, "front", [entry.length])[0]
            ends.setdefault(entry.variation, []).append(frame.tobytes())
    for entry in whole.entries():
        assert whole.load(entry.id).goal["front"].tobytes() in ends[entry.variation]


def test_what_is_there_is_not_made_again(agent: Path, bench: Bench, whole: EpisodeStore) -> None:
    assert practise_episodes(agent, REACH, bench, out=whole.path, plan=PLAN) == []


@pytest.mark.parametrize("done", [0, 1])
def test_interrupted_and_repeated_makes_the_same(
    agent: Path, bench: Bench, whole: EpisodeStore, tmp_path: Path, done: int
) -> None:
    left = iter(range(done))

    def interrupted(piece: Piece) -> list[Ended]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return work(piece)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workers, "work", interrupted)
        practise_episodes(agent, REACH, bench, out=tmp_path, plan=PLAN)
    ended = practise_episodes(agent, REACH, bench, out=tmp_path, plan=PLAN)
    assert len(ended) == 4 - 2 * done
    assert EpisodeStore(tmp_path).digest() == whole.digest()


def test_a_piece_of_which_a_part_is_there(
    agent: Path, bench: Bench, whole: EpisodeStore, tmp_path: Path
) -> None:
    """It is made again whole, so that the others come out as they would have, and what is there stays."""
    one = next(entry for entry in whole.entries() if entry.seed == 2001)
    EpisodeStore(tmp_path).commit(whole.load(one.id))
    assert len(practise_episodes(agent, REACH, bench, out=tmp_path, plan=PLAN)) == 4
    assert EpisodeStore(tmp_path).digest() == whole.digest()


def test_more_attempts_than_before(agent: Path, bench: Bench, tmp_path: Path) -> None:
    """Also where the last piece was not full: what was made stays, though others act beside it now."""
    for episodes in (1, 2):
        practise_episodes(agent, REACH, bench, out=tmp_path, plan=replace(PLAN, episodes=episodes))
    assert len(EpisodeStore(tmp_path)) == 2


def test_worlds_that_differ_are_other_attempts(agent: Path, bench: Bench, tmp_path: Path) -> None:
    """On the same seeds, beside the others, and with what was drawn in their record."""
    plan, ranges = replace(PLAN, episodes=1), find_randomisation("moderate")
    for own in (bench, replace(bench, randomise=ranges)):
        assert len(practise_episodes(agent, REACH, own, out=tmp_path, plan=plan)) == 1
        assert practise_episodes(agent, REACH, own, out=tmp_path, plan=plan) == []
    store = EpisodeStore(tmp_path)
    assert [entry.seed for entry in store.entries()] == [plan.first_seed] * 2
    metas = [store.load(id).meta for id in store.ids()]
    assert {meta.randomisation for meta in metas} == {None, ranges}
    assert all((meta.drawn is None) == (meta.randomisation is None) for meta in metas)


def test_two_arms_in_one_store(agent: Path, bench: Bench, tmp_path: Path) -> None:
    """Seeds that were used for one arm and task are free for another."""
    for cell in (REACH, OTHER):
        assert len(practise_episodes(agent, cell, bench, out=tmp_path, plan=replace(PLAN, episodes=1))) == 1
    assert {entry.arm for entry in EpisodeStore(tmp_path).entries()} == {"panda", "ur5e"}


@pytest.mark.slow
def test_several_workers_make_the_same(
    agent: Path, bench: Bench, whole: EpisodeStore, tmp_path: Path
) -> None:
    practise_episodes(agent, REACH, replace(bench, workers=2), out=tmp_path, plan=PLAN)
    assert EpisodeStore(tmp_path).digest() == whole.digest()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda o: o | {"arm": "pnada"}, UnknownName, "unknown arm 'pnada'; did you mean 'panda'?"),
        (lambda o: o | {"task": "reech"}, UnknownName, "unknown task 'reech'; did you mean 'reach'?"),
        (lambda o: o | {"task": "stack"}, StoreError, "no goal images for panda stack"),
        (lambda o: o | {"episodes": 0}, ValueError, "episodes 0 and workers 1 must both be at least 1"),
        (lambda o: o | {"workers": 0}, ValueError, "episodes 1 and workers 0 must both be at least 1"),
        (lambda o: o | {"explore": -1.0}, ValueError, "practice: explore: got -1.0, expected 0 or more"),
        (lambda o: o | {"first_seed": -5}, ValueError, "practice: first_seed: got -5, expected 0 or more"),
        (lambda o: o | {"preset": "nono"}, UnknownName, "unknown preset 'nono'"),
        (lambda o: o | {"branch": o["out"]}, CheckpointError, "no config.json in"),
    ],
)
def test_what_cannot_be_practised(
    agent: Path,
    data: Data,
    change: Callable[[dict[str, object]], dict[str, object]],
    kind: type[Exception],
    said: str,
) -> None:
    options: dict[str, object] = {
        "branch": agent, "tokeniser": data.tokeniser, "goals": data.stores[0], "out": agent / "not-there",
        "arm": "panda", "task": "reach", "preset": "debug", "episodes": 1, "workers": 1,
    }  # fmt: skip
    with pytest.raises(kind, match=said) as refused:
        practise(**change(options))  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(refused.value)


def test_goals_are_missed_before_the_first_attempt(agent: Path, data: Data, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no goal images for kuka_hand stack"):
        practise(
            branch=agent, tokeniser=data.tokeniser, goals=data.stores[0], out=tmp_path / "practice",
            arm=None, task="stack", preset="debug", episodes=1, workers=1,
        )  # fmt: skip
    assert not (tmp_path / "practice").exists()


def test_scenes_and_noise_can_be_chosen(agent: Path, bench: Bench, tmp_path: Path) -> None:
    practise(
        branch=agent, tokeniser=bench.tokeniser, goals=bench.goals, out=tmp_path, arm="panda", task="reach",
        preset="debug", episodes=2, first_seed=3000, explore=0.0, workers=1,
    )  # fmt: skip
    store = EpisodeStore(tmp_path)
    assert sorted(entry.seed for entry in store.entries()) == [3000, 3001]
    # Without noise an action is its label, both as 32-bit numbers.
    assert all(np.array_equal(each.action, each.label) for each in map(store.load, store.ids()))


def test_verb(agent: Path, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for said in ("1 new episodes, ", "0 new episodes, 0 successful; 1 in all"):
        practise(
            branch=agent, tokeniser=bench.tokeniser, goals=bench.goals, out=tmp_path, arm="panda",
            task="reach", preset="debug", episodes=1, workers=1,
        )  # fmt: skip
        assert said in capsys.readouterr().out
