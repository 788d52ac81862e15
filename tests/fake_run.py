"""A finished run of the cycle, made up: every file by the classes that write and read it, small and quick."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from demos.store import EpisodeStore
from finetune.gate import Cell, judge
from robocat.metrics import Metrics
from robocat.scores import Scores, Trial
from tests.fakes import fake_episode, flat_shaded

OLD: list[Cell] = [(arm, task) for task in ("reach", "lift") for arm in ("panda", "ur5e")]
NEW: Cell = ("kuka_iiwa14", "lift")
MODELS = ("generalist-0", "scratch", "branch", "control-1", "generalist-1")
STAGES = (
    "demonstrations", "tokeniser", "tokens", "generalist-0", "adaptation", "branch", "practice",
    "generalist-1", "evaluation", "gate",
)  # fmt: skip
# Chances of success on the old arms and tasks, and on the new one.
_SKILL = {
    "generalist-0": (0.85, 0.05), "scratch": (0.0, 0.3), "branch": (0.2, 0.55), "control-1": (0.84, 0.5),
    "generalist-1": (0.86, 0.68),
}  # fmt: skip


def fake_run(folder: Path, rng: np.random.Generator, old: list[Cell] = OLD, episodes: int = 20) -> None:
    """Writes a whole run.

    Args:
        folder: Where.
        rng: Decides every number.
        old: Arms and tasks of the demonstrations.
        episodes: Trials of each arm and task in an evaluation; three times as many at the gate.
    """
    _stores(folder, rng, old)
    _tokeniser(folder, rng)
    for name in MODELS:
        _model(folder, name, rng)
    for prefix, count, names in (("", episodes, MODELS), ("gate-", 3 * episodes, (*MODELS[:1], *MODELS[2:]))):
        for name in names:
            cells = [NEW] if name in ("branch", "scratch") else [*old, NEW]
            fake_scores(name, cells, count, rng).save(folder / "scores" / f"{prefix}{name}.json")
    scores = {
        name: Scores.load(folder / "scores" / f"gate-{name}.json") for name in MODELS if name != "scratch"
    }
    verdict = judge(scores["generalist-1"], scores["generalist-0"], scores["control-1"], [NEW], old)
    write(folder / "gate.json", verdict.record())
    _stages(folder, rng)
    write(folder / "run.json", _about())


def write(path: Path, record: dict[str, Any]) -> None:
    """Writes a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1))


def fake_scores(model: str, cells: Iterable[Cell], count: int, rng: np.random.Generator) -> Scores:
    """Scores of a model on these arms and tasks, the same scenes for every model."""
    trials = tuple(
        Trial(
            arm, task, "red", 500 + i, f"goal-{i}", bool(rng.random() < _SKILL[model][(arm, task) == NEW]), 30
        )
        for arm, task in cells
        for i in range(count)
    )
    number = model.rpartition("-")[2]
    generation = int(number) if number.isdigit() else None
    return Scores(model, generation, f"models/{model}", trials, 12.5, {"torch": "2.13.0"})


def _stores(folder: Path, rng: np.random.Generator, old: list[Cell]) -> None:
    def commit(name: str, cells: Iterable[Cell], count: int, **meta: Any) -> None:
        made = [
            fake_episode(rng, 4, arm=arm, task=task, seed=seed, success=bool(seed % 4), **meta)
            for arm, task in cells
            for seed in range(count)
        ]
        EpisodeStore(folder / "stores" / name).commit_many(made)

    commit("demos", old, 3)
    commit("adaptation", [NEW], 5)
    commit("practice", [NEW], 6, controller="policy", policy="branch@0123", generation=0)
    for name in MODELS:
        cells = [NEW] if name in ("branch", "scratch") else [*old, NEW]
        commit("clips", cells, 2, controller="policy", policy=f"{name}@0123", size=16)


def _tokeniser(folder: Path, rng: np.random.Generator) -> None:
    home = folder / "tokeniser"
    images = flat_shaded(rng, 12, 32)
    noisy = np.clip(images + rng.normal(0, 9, images.shape), 0, 255).astype(np.uint8)
    with Metrics(home, "tokeniser", {}) as metrics:
        for step in range(0, 400, 20):
            metrics.log(step, {"reconstruction": 0.4 * math.exp(-step / 90) + 0.06, "commitment": 0.1})
    np.savez(home / "reconstructions.npz", original=images, reconstruction=noisy)
    write(home / "card.json", {"psnr_db": 28.125, "codes_used": 498, "codes": 512, "images": 400})
    store = {"path": str(folder / "stores" / "demos"), "digest": _digest(folder, "demos")}
    lineage = {"stores": [store], "images": 30_000}
    write(
        home / "config.json",
        {"kind": "tokeniser", "weights": "ab" * 8, "parameters": 1_100_000, "lineage": lineage},
    )


def _model(folder: Path, name: str, rng: np.random.Generator) -> None:
    data = {
        "generalist-0": {"demos": 1.0},
        "control-1": {"demos": 0.5, "adaptation": 0.5},
        "generalist-1": {"demos": 0.5, "adaptation": 0.2, "practice": 0.3},
    }.get(name, {"adaptation": 1.0})
    stores = [
        {
            "path": str(folder / "stores" / store),
            "digest": _digest(folder, store),
            "episodes": len(EpisodeStore(folder / "stores" / store)),
            "steps": 4321,
            "share": share,
        }
        for store, share in data.items()
    ]
    started = name in ("generalist-0", "scratch")
    record: dict[str, Any] = {
        "name": name,
        "generation": {"scratch": None, "branch": 0}.get(name, int(name[-1]) if name[-1].isdigit() else None),
        "parent": None if started else str(folder / "models" / "generalist-0"),
        "steps": 4000 if name == "generalist-0" else 1500,
        "parameters": 1_234_567,
        "lineage": {"stores": stores, "tokeniser": "ab" * 8},
    }
    write(folder / "models" / name / "config.json", record)
    with Metrics(folder / "models" / name, name, {}) as metrics:
        for step in range(0, record["steps"], 20):
            loss = (3.0 if started else 0.9) * math.exp(-step / 500) + 0.5
            values = {"loss": loss + 1, "action_loss": loss * rng.uniform(0.95, 1.05), "future_loss": 2.0}
            if step % 500 == 480:
                values["held_out_action_loss"] = loss * 1.06
            metrics.log(step, values)


def _digest(folder: Path, store: str) -> str:
    return EpisodeStore(folder / "stores" / store).digest()


def _stages(folder: Path, rng: np.random.Generator) -> None:
    for number, name in enumerate(STAGES):
        record = {
            "name": name,
            "seconds": float(rng.uniform(3, 300)),
            "peak_memory_mib": 400.0 + 100 * number,
            "disk_mib": 50.0 + 10 * number,
            "finished": f"2026-01-01T00:{number:02d}:00+00:00",
            "summary": {"episodes": 3600, "note": "<all of them>"},
        }
        write(folder / "stages" / f"{number:02d}-{name}.json", record)


def _about() -> dict[str, Any]:
    return {
        "preset": "nano",
        "identity": "0123",
        "seed": 7,
        "started": "2026-01-01T00:00:00+00:00",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "mujoco": "3.17.0"},
        "machine": {"processor": "Some <CPU> & more", "system": "Linux"},
        "config": {"seed": 7, "train": {"steps": 4000, "learning_rate": 0.001}, "arms": ["panda", "ur5e"]},
    }
