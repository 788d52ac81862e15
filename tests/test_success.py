"""The success model: labels, what is learnt from, calibration, verdicts; and practice that it judges."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from demos.episode import NOBODY, Episode, Outcome
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.workers import Ended
from finetune.practice import agreement, practise, practise_episodes
from robocat import labelled as drawing
from robocat.agreement import Agreement
from robocat.checkpoint import CheckpointError, read_config
from robocat.config import Practice, SuccessTraining
from robocat.data import Data
from robocat.evaluate import Bench
from robocat.labelled import Drawn, Labelled, Pool, labelled, labels, shown, split
from robocat.policy import Policy
from robocat.success import Calibration, Judge, SuccessConfig, hold_steps, load_success
from robocat.tokeniser import load_tokeniser, save_tokeniser
from robocat.tokens import TokenEpisode, build
from robocat.train_success import (
    calibrate,
    calibration_error,
    judged,
    measure,
    pair_loss,
    train_success,
)
from robocat.verdicts import judge_store
from robocat.vqgan import VQGAN
from sim.env import make
from tests.fakes import fake_episode
from tests.tiny import SIZE, VQ, demonstrate, interrupted

CONFIG = SuccessConfig(width=16, hidden=32, channels=16, code_width=8)
TRAINING = SuccessTraining(steps=80, batch=48, warm_up=10, held_out=0.5, checkpoint_every=30)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough episodes of reaching for all three sides to have some of each colour."""
    store = tmp_path_factory.mktemp("labelled") / "stores" / "demos"
    return demonstrate(store, ("panda",), ("reach",), episodes=60)


@pytest.fixture(scope="module")
def everything(many: Path, tokeniser: Path) -> Labelled:
    return labelled([many], [build(many, tokeniser, many.parents[1] / "tokens", workers=1)])


@pytest.fixture(scope="module")
def judge(many: Path, tokeniser: Path) -> Path:
    out = many.parents[1] / "judge"
    train_success([many], tokeniser, out, CONFIG, TRAINING, seed=0)
    return out


def test_a_label_says_done_at_the_end_of_its_time() -> None:
    """By hand: success holds for three steps when it is first said, so three observations show it."""
    success = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0], dtype=bool)
    assert labels(success, 3).astype(int).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert labels(success, 1).astype(int).tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert hold_steps(10.0) == 5 and hold_steps(1.0) == 1


def test_steps_are_the_stores_own(everything: Labelled, many: Path, tokeniser: Path) -> None:
    store, eyes = EpisodeStore(many), load_tokeniser(tokeniser)
    for number in (0, 7, 59):
        episode = store.load(everything.episodes[number].id)
        rows = np.flatnonzero(everything.episode_of == number)
        assert rows[-1] + 1 == everything.ends[number] and len(rows) == episode.length + 1
        images = np.stack([episode.images[camera] for camera in episode.meta.cameras], axis=1)
        assert np.array_equal(everything.codes[rows], eyes.encode(images))
        assert everything.done[rows][-5:].all() and not everything.done[rows][:-5].any()
        # What is labelled so is what the task's own progress calls complete.
        assert (episode.progress[-5:] == 1.0).all()


def test_sides_share_no_episode(everything: Labelled) -> None:
    sides = split(everything, 0.5)
    ids = [{each.id for each in side.episodes} for side in sides.values()]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 60
    for side in sides.values():
        for number, each in enumerate(side.episodes):
            first = everything.episodes.index(each)
            assert np.array_equal(
                side.codes[side.episode_of == number], everything.codes[everything.episode_of == first]
            )
        assert side.ends[-1] == len(side.codes)
    with pytest.raises(ValueError, match="of 0 episodes to calibrate none is a success: the stores"):
        split(everything, 0.0)
    few = everything.part(np.arange(60) < 9)
    with pytest.raises(ValueError, match="no two are successes of one arm, task and variation"):
        split(few, 0.5)


def test_half_of_what_is_drawn_is_done(everything: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of each row drawn is what is known of the step whose codes it has."""
    monkeypatch.setattr(drawing, "SHORTLY", 2)
    drawn = Pool(everything).draw(np.random.default_rng(0), 96)
    assert drawn.codes.shape == (96, *everything.codes.shape[1:]) and float(drawn.done.float().mean()) == 0.5
    assert len(drawn.cell.unique()) == 1 and len(drawn.kind.unique()) == 3
    shortly = 0
    for code, done, kind, number in zip(drawn.codes, drawn.done, drawn.kind, drawn.episode, strict=True):
        rows = np.flatnonzero(everything.episode_of == int(number))
        same = rows[(everything.codes[rows] == code.numpy()).all(axis=(1, 2))]
        assert bool(done) in everything.done[same]
        assert everything.episodes[int(number)].variation == ("blue", "green", "red")[int(kind)]
        shortly += bool(not done and everything.done[np.minimum(same + 2, rows[-1])].any())
    assert 24 <= shortly < 48


def test_what_every_pair_says_by_hand() -> None:
    """Two done of one kind in two episodes, one done of a rival's, one not done, one done of another task."""
    batch = Drawn(
        codes=torch.zeros(5, 2, 4, dtype=torch.int64),
        done=torch.tensor([True, True, True, False, True]),
        kind=torch.tensor([0, 0, 1, 0, 2]),
        cell=torch.tensor([0, 0, 0, 0, 1]),
        episode=torch.tensor([0, 1, 2, 3, 4]),
    )
    told = torch.tensor(
        [
            [0, 1, -1, 0, 0],
            [1, 0, -1, 0, 0],
            [-1, -1, 0, 0, 0],
            [-1, -1, 0, 0, 0],
            [0, 0, 0, 0, 0],
        ]
    )
    assert float(pair_loss(30.0 * told, batch)) < 1e-6
    for i, j in told.nonzero().tolist():
        wrong = 30.0 * told
        wrong[i, j] *= -1
        assert float(pair_loss(wrong, batch)) > 1.0, (i, j)
    silent = torch.randn(5, 5) * (told == 0)
    assert float(pair_loss(30.0 * told + silent, batch)) < 1e-6, "nobody has said whether those are met"
    even = pair_loss(torch.zeros(5, 5), batch)
    assert float(even) == pytest.approx(np.log(2.0))
    one = batch._replace(episode=torch.zeros(5, dtype=torch.int64))
    assert float(pair_loss(30.0 * told.clamp(max=0), one)) < 1e-6, "no step is its own episode's goal"


def test_one_variation_has_no_other_goal(everything: Labelled) -> None:
    red = everything.part(np.array([each.variation == "red" for each in everything.episodes]))
    drawn = Pool(red).draw(np.random.default_rng(0), 96)
    assert float(pair_loss(torch.zeros(96, 96), drawn)) == pytest.approx(0.75 * np.log(2.0))


def test_it_tells_done_from_not_done(judge: Path, everything: Labelled, tokeniser: Path) -> None:
    model, calibration, _ = load_success(judge, load_tokeniser(tokeniser).weights)
    kept = split(everything, TRAINING.held_out)["measure"]
    odds = calibration.scale * judged(model, kept, np.random.default_rng(0)) + calibration.shift
    done = odds[kept.done].mean(), odds[~kept.done].mean()
    assert done[0] > done[1] + 0.5
    record = read_config(judge, "success")
    assert set(record["measured"]) == {"panda reach"}
    assert record["calibration_error"] < 0.15
    assert sum(record["lineage"]["episodes"].values()) == 60


def test_calibration_undoes_what_was_done_to_odds() -> None:
    """Outcomes drawn by their odds, and odds told thrice too large and shifted: the inverse is found."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 40_000)
    done = rng.random(40_000) < 1 / (1 + np.exp(-true))
    told = 3 * true + 2
    found = calibrate(told, done)
    assert found.scale == pytest.approx(1 / 3, rel=0.05) and found.shift == pytest.approx(-2 / 3, abs=0.05)
    assert calibration_error(told, done) > 5 * calibration_error(found.scale * told + found.shift, done)
    apart = calibrate(np.array([-4.0, -3.0, 3.0, 4.0]), np.array([False, False, True, True]))
    assert np.isfinite([apart.scale, apart.shift]).all() and apart.scale > 0


def test_measures_by_hand() -> None:
    """Two episodes of four steps, the second not done; the model says done of the last steps of both."""
    episodes = tuple(
        TokenEpisode(str(i), "panda", "reach", "red", i == 0, "expert", 4 * i, 4, told=True) for i in range(2)
    )
    done = np.array([0, 0, 1, 1, 0, 0, 0, 0], dtype=bool)
    owner = np.repeat([0, 1], 4)
    data = Labelled(np.zeros((8, 2, 4), np.uint16), done, owner, episodes, np.array([4, 8]), hold=2)
    odds = np.array([-1, 1, 1, -1, -1, -1, -0.5, 1], dtype=float)
    cell = measure(odds, np.full(8, -1.0), data)["panda reach"]
    steps, whole = cell["steps"], cell["episodes"]
    assert isinstance(steps, dict) and isinstance(whole, dict) and isinstance(cell["mistaken"], dict)
    assert (steps["n"], steps["done"], steps["said"], steps["both"]) == (8, 2, 3, 1)
    assert (whole["n"], whole["done"], whole["said"], whole["both"]) == (2, 1, 1, 0)
    assert (cell["mistaken"]["successes"], cell["mistaken"]["n"]) == (0, 1)


def test_interrupted_equals_uninterrupted(judge: Path, many: Path, tokeniser: Path) -> None:
    out = judge.parent / "broken"
    with interrupted(50):
        train_success([many], tokeniser, out, CONFIG, TRAINING, seed=0)
    train_success([many], tokeniser, out, CONFIG, TRAINING, seed=0)
    assert read_config(out, "success") == read_config(judge, "success")
    assert (out / "model.safetensors").read_bytes() == (judge / "model.safetensors").read_bytes()
    assert not (out / "resume").exists()


def _episode(agent: Path, tokeniser: Path) -> Episode:
    return next(rollout([make("panda", "reach", size=SIZE)], Policy(agent, tokeniser), [Attempt(3)]))


def test_a_verdict_is_about_the_end(
    judge: Path, agent: Path, tokeniser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last half second's codes against the goal's; the predicate's steps stay as they were."""
    judging, episode = Judge(judge, tokeniser), _episode(agent, tokeniser)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def said(odds: float) -> None:
        def log_odds(self: Judge, codes: np.ndarray, goal: np.ndarray) -> np.ndarray:
            seen.append((codes, goal))
            return np.full(len(codes), odds)

        monkeypatch.setattr(Judge, "log_odds", log_odds)

    for odds in (0.3, -0.3):
        said(odds)
        judged_episode = judging(episode)
        assert judged_episode.succeeded == (odds > 0)
        assert judged_episode.meta.outcome.judged_by == judging.name
        assert np.array_equal(judged_episode.success, episode.success)
    eyes, cameras = load_tokeniser(tokeniser), episode.meta.cameras
    images = np.stack([episode.images[camera][-5:] for camera in cameras], axis=1)
    assert np.array_equal(seen[0][0], eyes.encode(images))
    assert np.array_equal(seen[0][1], eyes.encode(np.stack([episode.goal[camera] for camera in cameras])))
    with pytest.raises(ValueError, match="has 2 cameras and goal images of 0"):
        judging.verdict(replace(episode, goal={}))


def test_odds_are_calibrated(judge: Path, tokeniser: Path, everything: Labelled) -> None:
    judging = Judge(judge, tokeniser)
    model, calibration, _ = load_success(judge, load_tokeniser(tokeniser).weights)
    codes = everything.codes[:300]
    with torch.inference_mode():
        seen = torch.from_numpy(codes.astype(np.int64))
        raw = model(seen, seen[:1]).numpy()[:, 0]
    found = judging.log_odds(codes, codes[0])
    np.testing.assert_allclose(found, calibration.scale * raw + calibration.shift, rtol=1e-4, atol=1e-4)
    assert calibration != Calibration()


def test_practice_judged_by_a_model(
    judge: Path, agent: Path, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both verdicts are stored; the same attempts otherwise; and what the model got wrong is told."""
    tokeniser, demos = data.tokeniser, data.stores[0]
    bench, plan = Bench(tokeniser, demos, workers=1), Practice(episodes=3, first_seed=2000)
    practise_episodes(agent, ("panda", "reach"), bench, out=tmp_path / "predicate", plan=plan)
    ended = practise_episodes(
        agent, ("panda", "reach"), bench, out=tmp_path / "judged", plan=plan, judge=judge
    )
    name = f"success@{read_config(judge, 'success')['weights']}"
    plain, other = EpisodeStore(tmp_path / "predicate"), EpisodeStore(tmp_path / "judged")
    assert plain.ids() == other.ids()
    for id, result in zip(other.ids(), sorted(ended, key=lambda each: each.id), strict=True):
        before, episode = plain.load(id), other.load(id)
        assert np.array_equal(before.success, episode.success)
        assert np.array_equal(before.action, episode.action)
        assert before.meta.outcome.judged_by == "predicate"
        assert episode.meta.outcome.judged_by == name
        assert (result.success, result.held) == (episode.succeeded, bool(before.success[-1]))
        assert episode.succeeded == Judge(judge, tokeniser).verdict(before)
    practise(
        branch=agent, tokeniser=tokeniser, goals=demos, out=tmp_path / "verb", arm="panda", task="reach",
        preset="debug", episodes=2, judge=judge, workers=1,
    )  # fmt: skip
    assert "panda reach, held against the predicate: precision " in capsys.readouterr().out


def test_a_store_is_judged_where_nobody_has(
    judge: Path, agent: Path, tokeniser: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = _episode(agent, tokeniser)
    id = marked.id.replace("000003", "000004")
    meta = replace(marked.meta, id=id, outcome=Outcome(False, NOBODY))
    EpisodeStore(tmp_path / "real").commit_many([marked, replace(marked, meta=meta)])
    judge_store(tmp_path / "real", judge=judge, tokeniser=tokeniser, out=tmp_path / "judged")
    judging, there = Judge(judge, tokeniser), EpisodeStore(tmp_path / "judged")
    assert there.load(marked.id).meta == marked.meta
    assert there.load(id).meta.outcome == Outcome(judging.verdict(marked), judging.name)
    said = f"1 judged by {judging.name}, {int(judging.verdict(marked))} of them successes; 2 in all"
    assert said in capsys.readouterr().out
    blind = replace(marked, meta=meta, goal={})
    EpisodeStore(tmp_path / "blind").commit(blind)
    judge_store(tmp_path / "blind", judge=judge, tokeniser=tokeniser, out=tmp_path / "other")
    assert "0 judged by" in (said := capsys.readouterr().out)
    assert "1 have no goal to judge by and stay unjudged; 1 in all" in said
    assert EpisodeStore(tmp_path / "other").digest() == EpisodeStore(tmp_path / "blind").digest()


def test_agreement_by_hand() -> None:
    outcomes = [(True, True), (True, False), (False, True), (False, False), (True, True)]
    ended = [
        Ended(str(i), "panda", "reach", "red", i, said, 9, held) for i, (said, held) in enumerate(outcomes)
    ]
    assert agreement(ended) == {("panda", "reach"): Agreement(n=5, done=3, said=3, both=2)}


def test_a_model_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config.json in .*nobody"):
        Judge(tmp_path / "nobody", tmp_path / "tokeniser")


def test_a_model_of_another_shape_is_refused(judge: Path, tokeniser: Path, tmp_path: Path) -> None:
    """As those are that looked at a goal by modulation."""
    older = Path(shutil.copytree(judge, tmp_path / "older"))
    record = json.loads((older / "config.json").read_text())
    record["success"] = {"width": 64, "patch_width": 48, "cameras": 2}
    (older / "config.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="differs from this version's in: .*patch_width"):
        Judge(older, tokeniser)


def test_another_tokeniser_is_refused(judge: Path, tmp_path: Path) -> None:
    save_tokeniser(tmp_path, VQGAN(VQ), {})
    with pytest.raises(CheckpointError, match="reads the codes of tokeniser"):
        Judge(judge, tmp_path)


def test_a_persons_word_is_learnt_from_and_silence_is_not() -> None:
    """Of a real arm the predicate says nothing: a person's mark speaks of the episode's end."""
    rng = np.random.default_rng(0)
    real = fake_episode(rng, steps=4, success=False)
    never, once = np.zeros(4, bool), np.array([False, True, True, False])

    def said(success: bool, who: str, predicate: NDArray[np.bool_] = never) -> list[bool] | None:
        meta = replace(real.meta, outcome=Outcome(success, who))
        found = shown(replace(real, meta=meta, success=predicate))
        return None if found is None else found.tolist()

    assert said(False, NOBODY) is None
    assert said(True, "operator") == said(True, "hand, before: not judged") == [False, False, False, True]
    assert said(True, "operator", once) == [False, True, True, True]
    assert said(False, "operator", once) == [False] * 4, "what the predicate saw, the person did not mean"
    assert said(True, "predicate", once) == said(False, "success@1", once) == once.tolist()
