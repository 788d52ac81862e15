"""Measuring agents: models meet the same scenes and goals, and every outcome is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from demos.manifest import StoreError
from demos.relabel import judged
from demos.store import EpisodeStore
from robocat.checkpoint import CheckpointError
from robocat.data import Data
from robocat.evaluate import Bench, Cell, evaluate, make_goals, measure, rates_table
from robocat.scores import Scores, Trial
from sim.names import UnknownName
from sim.randomisation import find_randomisation
from tests.tiny import AGENT, TRAINING, demonstrate, learn

CELLS = [Cell("panda", "reach", 4, 10), Cell("ur5e", "reach", 2, 10)]


@pytest.fixture(scope="module")
def bench(tokeniser: Path) -> Bench:
    """With goals for the cells, made by the experts."""
    made = Bench(tokeniser, tokeniser.parent / "stores" / "goals", workers=1)
    make_goals(made, CELLS, first_seed=300)
    return made


@pytest.fixture(scope="module")
def scores(agent: Path, bench: Bench) -> Scores:
    return measure("generalist-0", agent, CELLS, bench)


def test_one_goal_attempt_for_each_episode(bench: Bench) -> None:
    store = EpisodeStore(bench.goals)
    assert {(e.arm, e.task, e.seed) for e in store.entries()} == {
        (cell.arm, cell.task, 300 + i) for cell in CELLS for i in range(cell.episodes)
    }
    before = store.digest()
    make_goals(bench, CELLS, first_seed=300)
    assert store.digest() == before


def test_attempts_that_failed_are_made_up_for(bench: Bench, tmp_path: Path) -> None:
    """By scenes after them, so that no goal image is shown twice; what comes last is the same next time."""
    poor = replace(bench, goals=tmp_path / "goals")
    source, target = EpisodeStore(bench.goals), EpisodeStore(poor.goals)
    ids = [entry.id for entry in source.entries() if entry.arm == "ur5e"]
    for id in ids:
        target.commit(judged(source.load(id), False))
    (cell,) = [cell for cell in CELLS if cell.arm == "ur5e"]
    make_goals(poor, [cell], first_seed=300)
    able = sorted(entry.seed for entry in target.entries() if entry.success)
    assert able == [302, 303, 304], "three variations in turn"
    digest = target.digest()
    make_goals(poor, [cell], first_seed=300)
    assert EpisodeStore(poor.goals).digest() == digest


def test_every_trial_is_kept(agent: Path, scores: Scores, bench: Bench) -> None:
    told = [(trial.arm, trial.task, trial.seed) for trial in scores.trials]
    assert told == [(c.arm, c.task, c.first_seed + i) for c in CELLS for i in range(c.episodes)]
    assert (scores.model, scores.generation, scores.checkpoint) == ("generalist-0", 0, str(agent))
    assert scores.seconds > 0 and "mujoco" in scores.versions
    goals = {entry.id: entry for entry in EpisodeStore(bench.goals).entries()}
    for trial in scores.trials:
        goal = goals[trial.goal]
        assert goal.success
        assert (goal.arm, goal.task, goal.variation) == (trial.arm, trial.task, trial.variation)
    # Variations come in turn, and each of a variation's episodes has a goal image of its own.
    panda = [trial for trial in scores.trials if trial.arm == "panda"]
    assert len({trial.variation for trial in panda[:3]}) == 3
    assert panda[3].variation == panda[0].variation and panda[3].goal != panda[0].goal


def test_two_models_share_scenes_and_goals(data: Data, scores: Scores, bench: Bench) -> None:
    other = learn(data, bench.tokeniser.parent / "models" / "other", AGENT, replace(TRAINING, steps=1))
    theirs = measure("other", other, CELLS[1:], bench)
    mine = [trial.scene for trial in scores.trials if trial.arm == "ur5e"]
    assert [trial.scene for trial in theirs.trials] == mine
    assert scores.paired(theirs, "ur5e", "reach").n == 2


def test_measuring_again_gives_the_same(agent: Path, scores: Scores, bench: Bench) -> None:
    again = measure("generalist-0", agent, CELLS[1:], bench).trials
    assert again == tuple(trial for trial in scores.trials if trial.arm == "ur5e")


def test_worlds_that_differ(agent: Path, bench: Bench, scores: Scores, tmp_path: Path) -> None:
    """Their goals too; what is measured in them is not compared with what was measured elsewhere."""
    ranges = find_randomisation("moderate")
    own = replace(bench, goals=tmp_path / "goals", clips=tmp_path / "clips", randomise=ranges)
    cell = replace(CELLS[1], episodes=1)
    make_goals(own, [cell], first_seed=300)
    (trial,) = measure("generalist-0", agent, [cell], own).trials
    for store in (EpisodeStore(own.goals), EpisodeStore(tmp_path / "clips")):
        (id,) = store.ids()
        assert store.load(id).meta.randomisation == ranges
    assert trial.scene not in {each.scene for each in scores.trials}
    assert trial.seed == cell.first_seed


def test_some_episodes_are_kept_to_look_at(agent: Path, scores: Scores, bench: Bench, tmp_path: Path) -> None:
    """Again and with other numbers too: the ones that are there stay."""
    shown = replace(bench, clips=tmp_path / "clips", clips_each=1)
    for cells in (CELLS[1:], [replace(CELLS[1], episodes=1)]):
        measure("generalist-0", agent, cells, shown)
    store = EpisodeStore(tmp_path / "clips")
    (entry,) = store.entries()
    first = scores.trials[CELLS[0].episodes]
    assert (entry.arm, entry.seed, entry.success, entry.length) == (
        first.arm, first.seed, first.success, first.steps
    )  # fmt: skip
    clip = store.load(entry.id)
    assert (clip.meta.provenance.controller, clip.meta.provenance.generation) == ("policy", 0)
    assert set(clip.goal) == set(clip.meta.cameras)


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        (Cell("pnada", "reach", 1, 0), UnknownName, "unknown arm 'pnada'; did you mean 'panda'?"),
        (Cell("panda", "reech", 1, 0), UnknownName, "unknown task 'reech'; did you mean 'reach'?"),
        (Cell("panda", "stack", 1, 0), StoreError, "no goal images for panda stack"),
        (Cell("panda", "reach", 0, 0), ValueError, "episodes and workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_measured(
    agent: Path, bench: Bench, cell: Cell, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as refused:
        measure("generalist-0", agent, [cell], bench)
    assert "\n" not in str(refused.value)


def test_verb(agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goals and scores are put into the run that the agent and its tokeniser belong to."""
    evaluate(agent, arms=("panda",), tasks=("reach",), episodes=1, first_seed=20, workers=1)
    run = agent.parent.parent
    path = run / "scores" / "generalist-0-20-panda-reach.json"
    said = " ".join(capsys.readouterr().out.split())
    assert "generalist-0: success rate with 95 % interval" in said and "panda" in said
    assert said.endswith(str(path))
    assert len(Scores.load(path).trials) == 1
    assert len(EpisodeStore(run / "stores" / "goals-20")) == 1
    # A store that is given is read only.
    store = demonstrate(tmp_path / "given", ("panda",), ("reach",), episodes=1)
    before = EpisodeStore(store).digest()
    options = {"arms": ("panda",), "tasks": ("reach",), "episodes": 1, "workers": 1}
    evaluate(agent, goals=store, out=tmp_path / "scores.json", **options)
    assert EpisodeStore(store).digest() == before
    assert Scores.load(tmp_path / "scores.json").trials[0].goal in EpisodeStore(store)


def test_verb_without_an_agent(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config.json in .*: absent, or never finished"):
        evaluate(tmp_path / "models" / "none")


def test_table_shows_what_was_measured() -> None:
    trials = tuple(
        Trial(arm, task, "red", seed, "", seed < 3, 9)
        for arm, task in (("panda", "lift"), ("panda", "reach"), ("ur5e", "reach"))
        for seed in range(4)
    )
    table = rates_table(Scores("generalist-0", 0, "x", trials, 1.0, {}))
    assert [column.header for column in table.columns] == ["arm", "lift", "reach"]
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [row[0] for row in rows] == ["panda", "ur5e"]
    assert rows[0][1] == rows[0][2] == rows[1][2] == "75% (30%-95%), n 4"
    assert rows[1][1] == ""
