"""Two trainings at once: each as it would be alone; what is done stays, what fails is said at once."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from finetune import side_by_side
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent_checkpoint import AgentCard, read_agent
from robocat.data import Data
from robocat.mixture import NothingToLearn
from tests.tiny import AGENT, TRAINING, learn


def _job(data: Data, out: Path, **changes: object) -> Job:
    training = replace(TRAINING, **changes)  # pyright: ignore[reportArgumentType]
    return Job(data, out, AGENT, training, AgentCard(out.name, 0, None), seed=0)


@pytest.mark.slow
def test_each_is_as_it_would_be_alone(data: Data, tmp_path: Path) -> None:
    jobs = [
        _job(data, tmp_path / "one"),
        _job(data, tmp_path / "two", learning_rate=5e-4),
    ]
    train_side_by_side(jobs, workers=2)
    for job in jobs:
        alone = learn(data, tmp_path / "alone" / job.out.name, training=job.training)
        assert read_agent(job.out)["weights"] == read_agent(alone)["weights"]
        assert (job.out / "training.log").read_text().count(" process ") == 1
    assert read_agent(jobs[0].out)["weights"] != read_agent(jobs[1].out)["weights"]


def test_what_is_done_stays(agent: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "processes", None)
    before = read_agent(agent)
    train_side_by_side([_job(data, agent)], workers=2)
    train_side_by_side([], workers=2)
    assert read_agent(agent) == before


@pytest.mark.slow
def test_an_error_in_one_ends_the_other(data: Data, tmp_path: Path) -> None:
    """At once, though that one had days to go."""
    hopeless = _job(data, tmp_path / "hopeless", held_out=1.0)
    endless = _job(data, tmp_path / "endless", steps=10**6, checkpoint_every=10**6)
    started = time.monotonic()
    with pytest.raises(NothingToLearn, match="no successful episode to learn from"):
        train_side_by_side([endless, hopeless], workers=2)
    assert time.monotonic() - started < 60
    assert not (endless.out / "config.json").exists()
    train_side_by_side([replace(endless, training=TRAINING)], workers=1)
    assert read_agent(endless.out)["steps"] == TRAINING.steps


def test_progress_is_read_from_what_is_logged(agent: Path, data: Data, tmp_path: Path) -> None:
    assert side_by_side._reached(_job(data, agent)) == TRAINING.steps  # pyright: ignore
    assert side_by_side._reached(_job(data, tmp_path)) == 0  # pyright: ignore
    (tmp_path / "metrics.jsonl").write_text('{"step": 20, "loss": 1}\n{"step": 40, "loss": 1}\n{"st')
    assert side_by_side._reached(_job(data, tmp_path)) == 40  # pyright: ignore
