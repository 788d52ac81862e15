"""What is drawn to learn from: shares, goals, windows and who is kept apart; rows say whence they come."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robocat.agent import Window
from robocat.mixture import Mixture, NothingToLearn, Source, held_out
from robocat.tokens import WHOLE, TokenEpisode, TokenSet
from robocat.vocabulary import BINS, Embodiment, embodiment
from robocat.worth import SOON, worth_learning
from sim.arms import find_arm
from sim.proprioception import channels

FUTURE = 5


@dataclass
class _Maker:
    """Writes token sets whose every number is the row it stands in, counted on from set to set."""

    folder: Path
    rows: int = 0

    def make(
        self,
        episodes: list[TokenEpisode],
        tokeniser: str = "t",
        progress: Callable[[TokenEpisode], list[float]] = lambda episode: [0.0] * episode.rows,
    ) -> TokenSet:
        folder = self.folder / f"{self.rows}"
        folder.mkdir()
        names: dict[str, tuple[list[str], tuple[str, ...]]] = {}
        placed: list[dict[str, object]] = []
        for arm in sorted({episode.arm for episode in episodes}):
            declared = find_arm(arm)
            names[arm] = [channel.name for channel in channels(declared)], declared.action_names
            start = 0
            for episode in (each for each in episodes if each.arm == arm):
                placed.append(vars(replace(episode, start=start)))
                start += episode.rows
            row = self.rows + np.arange(start, dtype=np.uint16)
            sizes = {
                "proprio": (len(names[arm][0]),),
                "codes": (2, 4),
                "action": (declared.action_size,),
            }
            for key, size in sizes.items():
                shape = (start, *(1 for _ in size))
                np.save(folder / f"{arm}.{key}.npy", np.broadcast_to(row.reshape(shape), (start, *size)))
            own = [progress(episode) for episode in episodes if episode.arm == arm]
            np.save(folder / f"{arm}.progress.npy", (np.concatenate(own) * WHOLE).astype(np.uint16))
            self.rows += start
        head = {"store_digest": f"s{folder.name}", "tokeniser": tokeniser, "names": names}
        (folder / "index.json").write_text(json.dumps(head | {"episodes": placed}))
        return TokenSet(folder)


def _body(name: str) -> Embodiment:
    arm = find_arm(name)
    return embodiment([channel.name for channel in channels(arm)], arm.action_names)


@pytest.fixture
def maker(tmp_path: Path) -> _Maker:
    return _Maker(tmp_path)


def _episode(number: int, arm: str = "panda", task: str = "lift", **more: object) -> TokenEpisode:
    colour = ("red", "green", "blue")[number % 3]
    name, rows = f"{arm}-{task}-{number}", 6 + number % 7
    start = TokenEpisode(name, arm, task, colour, True, "expert", 0, rows, told=True)
    return replace(start, **more)


def _owner(tokens: TokenSet, first: int) -> dict[int, TokenEpisode]:
    """Whose each row is, for a set whose rows count from `first`."""
    owner: dict[int, TokenEpisode] = {}
    for arm in sorted(tokens.arms):
        for episode in tokens.arms[arm].episodes:
            owner |= {first + len(owner) + i: episode for i in range(episode.rows)}
    return owner


def _drawn(mixture: Mixture, count: int, hindsight: float = 0.0) -> Window:
    """Many windows of a mixture of one arm."""
    ((_, window),) = mixture.draw(np.random.default_rng(3), count, FUTURE, hindsight)
    return window


@pytest.mark.parametrize("context", [1, 3])
def test_windows_are_consecutive_rows_inside_one_episode(maker: _Maker, context: int) -> None:
    tokens = maker.make([_episode(i) for i in range(20)])
    owner = _owner(tokens, 0)
    window = _drawn(Mixture([Source(tokens)], 0.0, context), 3000)
    rows = window.proprio[..., 0]
    assert rows.shape == (3000, context) and rows.dtype == torch.int64
    assert torch.equal(rows, rows[:, :1] + torch.arange(context))
    assert torch.equal(window.codes, rows[:, :, None, None].expand(-1, -1, 2, 4))
    assert torch.equal(window.action, rows[:, :, None].expand(-1, -1, 5))
    assert window.future is not None
    possible = set[int]()
    for first, row in owner.items():
        start = min(other for other, who in owner.items() if who is row)
        # The last row has no action: no window may hold it.
        possible |= {first} if first + context < start + row.rows else set()
    assert set(rows[:, 0].tolist()) == possible  # every window is drawn, and no other
    for first, ahead in zip(rows.tolist(), window.future[:, :, 0, 0].tolist(), strict=True):
        episode = owner[first[0]]
        assert all(owner[row] is episode for row in first)
        last = max(row for row, who in owner.items() if who is episode)
        assert ahead == [min(row + FUTURE, last) for row in first]


def test_goals_that_mean_the_same_bear_one_number(maker: _Maker) -> None:
    """Those of one task and variation, whichever arm shows them and whatever source they are from."""
    kinds = [
        ("panda", "lift", "red"),
        ("panda", "lift", "blue"),
        ("panda", "push", "red"),
        ("ur5e", "lift", "red"),
    ]
    episodes = [
        _episode(4 * s + i, arm, task, variation=variation)
        for s in range(2)
        for i, (arm, task, variation) in enumerate(kinds)
    ]
    sources = [Source(maker.make(episodes[:4])), Source(maker.make(episodes[4:]))]
    starts = {}
    for source in sources:
        for tokens in source.tokens.arms.values():
            for e in tokens.episodes:
                for row in range(e.start, e.start + e.rows):
                    starts[int(tokens.codes[row, 0, 0])] = (e.task, e.variation)
    mixture, meant = Mixture(sources, 0.0), {}
    for seed in range(20):
        for _, window in mixture.draw(np.random.default_rng(seed), 16, FUTURE, 0.5):
            assert window.meaning is not None
            for row, number in zip(window.codes[:, 0, 0, 0].tolist(), window.meaning.tolist(), strict=True):
                meant.setdefault(starts[row], set()).add(number)
    assert set(meant) == {(task, variation) for _, task, variation in kinds}
    assert all(len(numbers) == 1 for numbers in meant.values())
    assert len(set().union(*meant.values())) == len(meant) == 3


def _hesitant(episode: TokenEpisode) -> list[float]:
    """Progress that stands still for ten steps, rises for five, falls back, and rises to 1 or does not."""
    rise = [0.1, 0.2, 0.3, 0.4, 0.5]
    return [0.0] * 10 + rise + [0.2] * 10 + ([0.5, 0.8, 1.0, 1.0, 1.0] if episode.success else [0.2] * 5)


def test_of_a_policys_steps_those_are_learnt_from_that_led_somewhere(maker: _Maker) -> None:
    """Of failures as well; of an expert's failures nothing, and of its successes everything."""
    made = [
        _episode(number, controller=controller, success=success, rows=30, variation="red")
        for number, (controller, success) in enumerate(
            [("policy", True), ("policy", False), ("expert", True), ("expert", False)]
        )
    ]
    tokens = maker.make(made, progress=_hesitant)
    arm = tokens.arms["panda"]
    learnt = [(worth_learning(arm, e, 1, 0.06) - e.start).tolist() for e in arm.episodes]
    rising = [*range(10 - SOON, 11)]  # not the last of the slope: soon after them all is lost again
    assert learnt == [rising + [*range(25 - SOON, 29)], rising, [*range(29)], []]
    # A window of three steps is judged by its last.
    assert (worth_learning(arm, arm.episodes[1], 3, 0.06) - arm.episodes[1].start + 2).tolist() == rising
    # Four steps of the slope have 0.4.
    steep = worth_learning(arm, arm.episodes[1], 1, 0.35) - arm.episodes[1].start
    assert steep.tolist() == [9, 10]
    mixture = Mixture([Source(tokens)], 0.0, rise=0.06)
    assert mixture.windows == sum(map(len, learnt))


@pytest.mark.parametrize("context", [1, 3])
def test_the_other_steps_of_a_policy_are_judged(maker: _Maker, context: int) -> None:
    """All of them, in the share asked for, and their actions are not to be learnt; an expert's have none."""
    kinds = [("policy", True), ("policy", False), ("expert", True)]
    episodes = [
        _episode(number, controller=controller, success=success, rows=30, variation="red")
        for number, (controller, success) in enumerate(kinds)
    ]
    tokens = [maker.make(each, progress=_hesitant) for each in (episodes[:2], episodes[2:])]
    owner = {**_owner(tokens[0], 0), **_owner(tokens[1], 60)}
    shares = [Source(tokens[0], 0.5), Source(tokens[1], 0.5)]
    mixture = Mixture(shares, 0.0, context, rise=0.06, judged=0.25)
    window = _drawn(mixture, 8000)
    assert window.learnt is not None and window.progress is not None
    # The last step says for what its window was drawn.
    rows, learnt = window.proprio[:, 0, 0].tolist(), window.learnt[:, -1, 0].tolist()
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    for row, flag in zip(rows, learnt, strict=True):
        seen[bool(flag)].add(row)
    worth = {
        int(row) + offset
        for offset, each in zip((0, 60), tokens, strict=True)
        for episode in each.episodes
        for row in worth_learning(each.arms["panda"], episode, context, 0.06)
    }
    assert seen[True] == worth
    single = {
        int(row) + offset
        for offset, each in zip((0, 60), tokens, strict=True)
        for episode in each.episodes
        for row in worth_learning(each.arms["panda"], episode, 1, 0.06)
    }
    told_BT = window.proprio[:, :, 0]
    expected = torch.tensor([[int(row) in single for row in steps] for steps in told_BT])
    assert torch.equal(window.learnt[..., 0] > 0, expected), "each step by itself"
    assert seen[True] | seen[False] == {row for row in range(90) if row % 30 < 30 - context}
    assert not any(owner[row].controller == "expert" for row in seen[False])
    own = [flag > 0 for row, flag in zip(rows, learnt, strict=True) if row < 60]
    assert sum(own) / len(own) == pytest.approx(0.75, abs=0.03)
    assert len(own) / len(rows) == pytest.approx(0.5, abs=0.03)
    progress = np.concatenate([_hesitant(episode) for episode in episodes])
    told = progress[np.array(rows)[:, None] + np.arange(context)]
    assert np.abs((window.progress.numpy() + 0.5) / BINS - told).max() <= 0.5 / BINS + 1 / WHOLE


def test_failures_alone_can_only_be_judged(maker: _Maker) -> None:
    """They give windows where another source has goals, and are nothing to learn from where none has."""
    failures = [_episode(i, controller="policy", success=False, variation="red") for i in range(3)]
    still = maker.make(failures)
    success = maker.make([_episode(9, variation="red")])
    with pytest.raises(NothingToLearn):
        Mixture([Source(still)], 0.0, judged=0.5)
    first = next(iter(success.arms["panda"].proprio))[0]
    window = _drawn(Mixture([Source(still, 0.3), Source(success, 0.7)], 0.0, judged=0.5), 2000)
    assert window.learnt is not None
    assert torch.equal(window.learnt[:, 0, 0] > 0, window.proprio[:, 0, 0] >= int(first))
    assert float((window.learnt > 0).float().mean()) == pytest.approx(0.7, abs=0.04)
    assert float(window.learnt.mean()) == pytest.approx(1.0)
    window = _drawn(Mixture([Source(still, 0.3), Source(success, 0.7)], 0.0, judged=0.0), 200)
    assert window.learnt is None, "all alike"


@pytest.mark.parametrize("judged", [0.0, 0.5])
def test_where_nobody_tells_progress_the_outcome_decides(maker: _Maker, judged: float) -> None:
    """A real arm's own successes are learnt whole, of its failures nothing, and of neither how far it was."""
    made = [
        _episode(number, controller="policy", success=success, told=told, rows=30, variation="red")
        for number, (success, told) in enumerate([(True, False), (False, False), (True, True)])
    ]
    tokens = maker.make(made, progress=_hesitant)
    window = _drawn(Mixture([Source(tokens)], 0.0, rise=0.06, judged=judged), 3000)
    rows = window.proprio[:, 0, 0]
    assert set(rows[rows < 60].tolist()) == set(range(29))
    assert window.progress is not None and (window.learnt is not None or not judged)
    assert torch.equal(window.progress[:, 0] < 0, rows < 60)
    if window.learnt is not None:
        assert bool((window.learnt[rows < 60] > 0).all())


def test_in_hindsight_failures_are_attempts_at_what_they_brought_about(maker: _Maker) -> None:
    """Every step of them, towards their own last images, whether anyone succeeded at the task or not."""
    made = [
        _episode(number, controller=controller, success=success, rows=30, variation="red")
        for number, (controller, success) in enumerate(
            [("policy", False), ("policy", True), ("expert", False)]
        )
    ]
    tokens = maker.make(made, progress=_hesitant)
    options: dict[str, Any] = {"rise": 0.06, "judged": 0.5, "practised": "hindsight"}
    mixture = Mixture([Source(tokens)], 0.0, **options)
    window = _drawn(mixture, 1000)
    rows, goals = window.proprio[:, 0, 0], window.goal[:, 0, 0]
    assert set(rows.tolist()) == {row for row in range(60) if row % 30 < 29}, (
        "an expert's failure shows nothing"
    )
    assert window.learnt is None, "all actions are learnt"
    assert torch.equal(goals, torch.where(rows < 30, 29, 59))
    assert window.meaning is not None and len(window.meaning.unique()) == 2, "they ask for different things"
    alone = maker.make(made[:1], progress=_hesitant)
    assert Mixture([Source(alone)], 0.0, **options).windows == 29


def test_a_failure_is_never_a_goal_and_needs_one_of_another(maker: _Maker) -> None:
    failure = _episode(1, controller="policy", success=False, rows=30, variation="red")
    success = _episode(2, rows=30, variation="red")
    alone = maker.make([failure], progress=_hesitant)
    with pytest.raises(NothingToLearn):
        Mixture([Source(alone)], 0.0)
    both = maker.make([failure, success], progress=_hesitant)
    window = _drawn(Mixture([Source(both)], 0.0), 500, hindsight=1.0)
    rows, goals = window.proprio[:, 0, 0] - 30, window.goal[:, 0, 0] - 30
    assert (rows < 30).any() and (goals == 59).all()


def test_short_episodes_are_passed_over(maker: _Maker) -> None:
    tokens = maker.make([_episode(0, rows=3), _episode(1, rows=4), _episode(2, rows=9)])
    assert Mixture([Source(tokens)], 0.0, context=1).windows == 2 + 3 + 8
    assert Mixture([Source(tokens)], 0.0, context=3).windows == 1 + 6
    with pytest.raises(NothingToLearn, match="no successful episode to learn from that is longer than 9"):
        Mixture([Source(tokens)], 0.0, context=9)


def test_only_successes_are_drawn(maker: _Maker) -> None:
    tokens = maker.make([_episode(i, success=i % 4 == 0) for i in range(24)])
    owner = _owner(tokens, 0)
    window = _drawn(Mixture([Source(tokens)], 0.0), 2000, hindsight=0.3)
    assert window.future is not None
    for part in (window.proprio[:, :, 0], window.goal[:, :, 0], window.future[:, :, 0, 0]):
        assert all(owner[row].success for row in part.flatten().tolist())


def test_sides_never_meet(maker: _Maker) -> None:
    """Episodes kept apart give no window and no goal in training, and nothing else gives any beside it."""
    tokens = maker.make([_episode(i) for i in range(60)])
    owner, seen = _owner(tokens, 0), dict[bool, set[str]]()
    for validation in (False, True):
        mixture = Mixture([Source(tokens)], 0.3, validation=validation)
        window = _drawn(mixture, 4000, hindsight=0.3)
        rows = torch.cat([window.proprio[:, :, 0], window.goal[:, :, 0]], dim=1)
        seen[validation] = {owner[row].id for row in rows.flatten().tolist()}
    assert not seen[False] & seen[True]
    assert seen[True] == {episode.id for episode in tokens.episodes if held_out(episode.id, 0.3)}
    assert len(seen[False] | seen[True]) == 60


def test_who_is_kept_apart_hangs_on_the_id_alone() -> None:
    ids = [f"episode-{i}" for i in range(4000)]
    apart = {id for id in ids if held_out(id, 0.2)}
    assert len(apart) == pytest.approx(800, abs=80)
    assert apart <= {id for id in ids if held_out(id, 0.3)}
    assert not any(held_out(id, 0.0) for id in ids)
    assert all(held_out(id, 1.0) for id in ids)


def test_no_one_kept_apart_is_told_from_no_success(maker: _Maker) -> None:
    tokens = maker.make([_episode(0)])
    with pytest.raises(NothingToLearn, match="no successful episode kept apart"):
        Mixture([Source(tokens)], 0.0, validation=True)
    failed = maker.make([_episode(0, success=False)])
    with pytest.raises(NothingToLearn, match="no successful episode to learn from"):
        Mixture([Source(failed)], 0.0)


@pytest.mark.parametrize("hindsight", [0.0, 0.25, 1.0])
def test_goals_mean_the_same(maker: _Maker, hindsight: float) -> None:
    """A goal is the end of a success of the same arm, task and variation; the declared share is one's own."""
    episodes = [
        _episode(i, arm, task) for arm in ("panda", "ur5e") for task in ("lift", "reach") for i in range(30)
    ]
    tokens = maker.make(episodes)
    owner = _owner(tokens, 0)
    draws = Mixture([Source(tokens)], 0.0).draw(np.random.default_rng(0), 4000, FUTURE, hindsight)
    own = chance = 0.0
    for _, window in draws:
        for row, goal in zip(window.proprio[:, 0, 0].tolist(), window.goal[:, 0, 0].tolist(), strict=True):
            mine, shown = owner[row], owner[goal]
            assert (mine.arm, mine.task, mine.variation) == (shown.arm, shown.task, shown.variation)
            assert goal + 1 not in owner or owner[goal + 1] is not shown  # its last row
            own += mine is shown
            chance += 1 / 10  # of ten that mean the same, one is its own
    total = sum(len(window.goal) for _, window in draws)
    assert own == pytest.approx(hindsight * total + (1 - hindsight) * chance, abs=0.03 * total)


def test_goals_may_come_from_another_source(maker: _Maker) -> None:
    one = maker.make([_episode(0)])
    first = maker.rows
    other = maker.make([_episode(3), _episode(6)])
    window = _drawn(Mixture([Source(one), Source(other)], 0.0), 500)
    crossed = (window.proprio[:, 0, 0] < first) & (window.goal[:, 0, 0] >= first)
    assert crossed.any()


def test_shares_are_kept(maker: _Maker) -> None:
    """A source has its share however many rows it holds, and within a source all windows are alike."""
    small = maker.make([_episode(i) for i in range(3)])
    first = maker.rows
    large = maker.make([_episode(i) for i in range(3, 60)])
    owner = _owner(large, first)
    window = _drawn(Mixture([Source(small, 0.6), Source(large, 0.2)], 0.0), 20_000)
    rows = window.proprio[:, 0, 0]
    assert float((rows < first).float().mean()) == pytest.approx(0.75, abs=0.015)
    counts = Counter(owner[row].id for row in rows[rows >= first].tolist())
    for episode in large.episodes:
        expected = 5000 * (episode.rows - 1) / sum(each.rows - 1 for each in large.episodes)
        assert counts[episode.id] == pytest.approx(expected, abs=5 * expected**0.5)


def test_a_share_of_nothing_is_nothing(maker: _Maker) -> None:
    one, first = maker.make([_episode(0)]), maker.rows
    other = maker.make([_episode(1)])
    window = _drawn(Mixture([Source(one, 1.0), Source(other, 0.0)], 0.0), 500)
    assert (window.proprio < first).all()


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, -0.5), (float("nan"), 1.0)])
def test_what_is_no_share_is_refused(maker: _Maker, shares: tuple[float, float]) -> None:
    sources = [Source(maker.make([_episode(i)]), share) for i, share in enumerate(shares)]
    with pytest.raises(ValueError, match="expected 0 or more each, and one above 0"):
        Mixture(sources, 0.0)


def test_a_batch_has_one_window_for_each_body(maker: _Maker) -> None:
    arms = ("panda", "sawyer", "ur5e")
    tokens = maker.make([_episode(i, arm) for arm in arms for i in range(5)])
    drawn = Mixture([Source(tokens)], 0.0, context=2).draw(np.random.default_rng(0), 64, FUTURE, 0.2)
    bodies = [body for body, _ in drawn]
    assert len(set(bodies)) == len(bodies)
    assert set(bodies) == {_body(arm) for arm in arms}
    assert sum(len(window.proprio) for _, window in drawn) == 64
    for body, window in drawn:
        assert window.proprio.shape[1:] == (2, len(body.proprio))
        assert window.action.shape[1:] == (2, len(body.action))


def _bytes(drawn: list[tuple[Embodiment, Window]]) -> list[bytes]:
    return [part.numpy().tobytes() for _, window in drawn for part in window if part is not None]


def test_the_generator_decides_everything(maker: _Maker) -> None:
    tokens = maker.make([_episode(i, arm) for arm in ("panda", "ur5e") for i in range(9)])
    draws = [
        _bytes(Mixture([Source(tokens)], 0.2).draw(np.random.default_rng(seed), 32, FUTURE, 0.5))
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_tokens_of_different_tokenisers_are_refused(maker: _Maker) -> None:
    sources = [Source(maker.make([_episode(i)], tokeniser=name)) for i, name in enumerate("ab")]
    with pytest.raises(ValueError, match="token sets of 2 tokenisers cannot be mixed: a, b"):
        Mixture(sources, 0.0)
    with pytest.raises(ValueError, match="token sets of 0 tokenisers cannot be mixed: none given"):
        Mixture([], 0.0)


def test_a_batch_of_one_body_keeps_the_mixture(maker: _Maker) -> None:
    """Each batch is of one body; over many batches bodies and sources come by their shares."""
    one = maker.make([_episode(i, arm) for arm in ("panda", "ur5e") for i in range(6)])
    first = maker.rows
    other = maker.make([_episode(i, "ur5e") for i in range(6, 12)])
    mixture, rng = Mixture([Source(one, 0.5), Source(other, 0.5)], 0.0), np.random.default_rng(0)
    counts, bodies = Counter[str](), Counter[Embodiment]()
    for _ in range(1500):
        body, window = mixture.draw_alike(rng, 8, FUTURE, 0.2)
        assert len(window.proprio) == 8 and window.action.shape[2] == len(body.action)
        bodies[body] += 1
        rows = window.proprio[:, 0, 0]
        counts["other"] += int((rows >= first).sum())
        counts["all"] += len(rows)
    assert counts["other"] / counts["all"] == pytest.approx(0.5, abs=0.04)
    assert bodies[_body("ur5e")] / 1500 == pytest.approx(0.75, abs=0.04)
    assert len(bodies) == 2


def test_plans_end_with_their_episode(maker: _Maker) -> None:
    """Each number says its row: a plan of three steps is the next rows, up to the last that has an action."""
    tokens = maker.make([_episode(0, rows=5), _episode(1, rows=9)])
    mixture = Mixture([Source(tokens)], 0.0, context=2, chunk=3)
    _, window = mixture.draw_alike(np.random.default_rng(0), 200, FUTURE, 0.2)
    assert window.later is not None and window.later.shape == (200, 2, 2, window.action.shape[2])
    for rows, plan in zip(window.action[:, :, 0].tolist(), window.later[..., 0].tolist(), strict=True):
        for row, later in zip(rows, plan, strict=True):
            last = 3 if row < 5 else 5 + 7
            assert later == [ahead if ahead <= last else -1 for ahead in (row + 1, row + 2)]
    _, plain = Mixture([Source(tokens)], 0.0).draw_alike(np.random.default_rng(0), 4, FUTURE, 0.2)
    assert plain.later is None


def test_rows_of_a_batch_come_in_no_order(maker: _Maker) -> None:
    """Processes that share a batch take every second row: each must get a fair part of every source."""
    one, first = maker.make([_episode(0)]), maker.rows
    other = maker.make([_episode(1)])
    mixture = Mixture([Source(one), Source(other)], 0.0)
    _, window = mixture.draw_alike(np.random.default_rng(0), 400, FUTURE, 0.0)
    early = (window.proprio[:200, 0, 0] < first).float().mean()
    assert float(early) == pytest.approx(0.5, abs=0.12)
