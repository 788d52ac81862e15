"""Loop three: a success model on labelled stores, calibrated and measured on episodes kept apart.

For example:

    robocat judge --stores runs/cycle/stores/demos runs/cycle/stores/practice --out runs/cycle/judge

What is learnt from is drawn in `robocat.labelled`: images of a few arms and tasks, of which those that are
done are goals too. Each image is held against all goals of its arm and task (Zhai et al. 2023), with weights:

                       goals of its kind    goals of other variations
    done               yes: 1/2             no: 1/4
    not done           no: 1/4              -: nobody has said
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from demos.rate import Rate
from robocat.agreement import Agreement, in_percent
from robocat.checkpoint import (
    clear_state,
    config_hash,
    finished,
    read_config,
    seeded,
)
from robocat.config import SuccessTraining
from robocat.labelled import Drawn, Labelled, Pool, goal_rows, kind_of, labelled, rivals_of, split
from robocat.loop import Course, Values, run
from robocat.schedule import learning_rate, set_learning_rate
from robocat.success import Calibration, SuccessConfig, SuccessModel, save_success
from robocat.tokeniser import load_tokeniser
from robocat.tokens import build
from sim.tasks import refuse_held_out

BINS = 10  # of the calibration error


def train_judge(
    stores: tuple[Path, ...] = (Path("runs/cycle/stores/demos"),),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    out: Path = Path("runs/cycle/judge"),
    steps: int | None = None,
    seed: int = 0,
) -> None:
    """Trains a model that judges success by what the cameras see; goes on where it was interrupted.

    Args:
        stores: Stores whose steps are labelled.
        tokeniser: Checkpoint of the image tokeniser.
        out: Folder of the checkpoint; token sets are kept beside it, in `tokens`.
        steps: Optimiser steps instead of the usual number.
        seed: Seeds weights and draws.
    """
    training = SuccessTraining() if steps is None else replace(SuccessTraining(), steps=steps)
    before = "finished before, " if finished(out) else ""
    train_success(stores, tokeniser, out, SuccessConfig(), training, seed=seed)
    record = read_config(out, "success")
    Console().print(table(record["measured"]))
    print(f"{out}: {before}success@{record['weights']}, calibration error {record['calibration_error']:.3f}")


def train_success(
    stores: Sequence[Path],
    tokeniser: Path,
    out: Path,
    config: SuccessConfig,
    training: SuccessTraining,
    *,
    seed: int,
) -> None:
    """Trains a success model to `out`, going on from where it was interrupted, see `robocat.loop`; once only.

    Raises:
        ValueError: If the stores hold too few successes for all three sides, or a task that is held out.
        CheckpointError: If the tokeniser is absent, or `out` holds an unfinished training of something else.
    """
    if finished(out):
        clear_state(out)
        return
    eyes = load_tokeniser(tokeniser)
    sets = [build(store, tokeniser, out.parent / "tokens") for store in stores]
    refuse_held_out((e.task for each in sets for e in each.episodes), "its successes are not learnt")
    sides = split(labelled(stores, sets), training.held_out)
    torch.manual_seed(seed)
    model = SuccessModel(config, eyes.codebook, eyes.config.cells)
    optimiser = torch.optim.AdamW(
        model.parameters(), training.learning_rate, betas=(0.9, 0.95), weight_decay=training.weight_decay
    )
    digests = [each.store_digest for each in sets]
    pool, steps = Pool(sides["fit"]), training.steps

    def draw(number: int) -> Drawn:
        return pool.draw(seeded(seed, 31, number), training.batch)

    def step(number: int, batch: Drawn) -> Values:
        rate = learning_rate(number, steps, training.learning_rate, training.warm_up, 0.02)
        set_learning_rate(optimiser, rate)
        return {"loss": _step(model, optimiser, batch), "learning_rate": rate}

    course = Course(
        out,
        "success model",
        settings={"success": asdict(config), "training": asdict(training)},
        models={"model": model},
        optimisers={"model": optimiser},
        identity=config_hash(config, digests, eyes.weights, training.held_out, seed),
        steps=steps,
        checkpoint_every=training.checkpoint_every,
    )
    run(course, draw, step)
    model.eval()
    calibration, figures = _measured(model, sides, seed)
    origin = [{"path": str(p), "digest": each.store_digest} for p, each in zip(stores, sets, strict=True)]
    record: dict[str, object] = {
        "training": asdict(training),
        "seed": seed,
        **figures,
        "lineage": {"stores": origin, "episodes": {side: len(each.episodes) for side, each in sides.items()}},
    }
    save_success(out, model, eyes.weights, calibration, record)
    clear_state(out)


def _measured(
    model: SuccessModel, sides: Mapping[str, Labelled], seed: int
) -> tuple[Calibration, dict[str, object]]:
    """The model calibrated on one side, and what it is worth on another."""
    kept = sides["measure"]
    calibration = calibrate(judged(model, sides["calibrate"], seeded(seed, 32)), sides["calibrate"].done)
    odds, rival_odds = (
        calibration.scale * judged(model, kept, seeded(seed, 33), rivals=rivals) + calibration.shift
        for rivals in (False, True)
    )
    error = calibration_error(odds, kept.done)
    return calibration, {"measured": measure(odds, rival_odds, kept), "calibration_error": error}


def _step(model: SuccessModel, optimiser: torch.optim.Optimizer, batch: Drawn) -> Tensor:
    seen_BD = model.see(batch.codes)
    loss = pair_loss(model.match(seen_BD, seen_BD), batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.detach()


def pair_loss(odds_BB: Tensor, batch: Drawn) -> Tensor:
    """Cross-entropy of whether images show what goals ask for, weighted as above.

    Args:
        odds_BB: Log-odds of every image of a batch (down) against every one as a goal (across).
        batch: What they are.
    """
    done_B, goal_BB = batch.done, batch.done[None]
    kin_BB = batch.kind[:, None] == batch.kind
    own_BB = goal_BB & kin_BB & (batch.episode[:, None] != batch.episode)
    rival_BB = goal_BB & ~kin_BB & (batch.cell[:, None] == batch.cell)
    yes_BB, no_BB = F.softplus(-odds_BB), F.softplus(odds_BB)
    return (
        _mean(yes_BB, own_BB & done_B[:, None]) / 2
        + _mean(no_BB, own_BB & ~done_B[:, None]) / 4
        + _mean(no_BB, rival_BB & done_B[:, None]) / 4
    )


def _mean(each_BB: Tensor, where_BB: Tensor) -> Tensor:
    """The mean over images of their means over goals, where there are any."""
    goals_B = where_BB.sum(dim=1)
    means_B = (each_BB * where_BB).sum(dim=1) / goals_B.clamp(min=1)
    return means_B.sum() / (goals_B > 0).sum().clamp(min=1)


@torch.inference_mode()
def judged(
    model: SuccessModel, data: Labelled, rng: np.random.Generator, *, rivals: bool = False
) -> NDArray[np.float64]:
    """Log-odds (N,) of every step, nan where there is no goal to hold it against.

    Args:
        model: Not calibrated.
        data: What is judged.
        rng: Draws each episode's goal, the end of another success.
        rivals: Whether of another variation of its task instead of its own.
    """
    parts = np.array_split(data.codes, max(1, len(data.codes) // 512))
    seen_ND = torch.cat([model.see(torch.from_numpy(part.astype(np.int64))) for part in parts])
    goals, odds = goal_rows(data), np.full(len(data.done), np.nan)
    for number, (each, end) in enumerate(zip(data.episodes, data.ends, strict=True)):
        kind = kind_of(each)
        asked = rivals_of(kind, goals) if rivals else [kind] if kind in goals else []
        others = np.concatenate([np.zeros(0, dtype=np.int64), *(goals[each] for each in asked)])
        others = others[others != end - 1]
        if len(others):
            rows = slice(data.ends[number - 1] if number else 0, end)
            goal_1D = seen_ND[[rng.choice(others)]]
            odds[rows] = model.match(seen_ND[rows], goal_1D)[:, 0].double().numpy()
    return odds


def calibrate(odds: NDArray[np.float64], done: NDArray[np.bool_]) -> Calibration:
    """Scale and shift of log-odds under which what happened is likeliest, by Newton's method."""
    there = np.isfinite(odds)
    x, y = np.stack([odds[there], np.ones(there.sum())], axis=1), done[there].astype(np.float64)
    weight = np.array([1.0, 0.0])
    prior = 1e-3  # a touch of ridge towards the network's own odds: separable data have no best scale
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ weight, -40, 40)))
        gradient = x.T @ (p - y) + prior * (weight - [1.0, 0.0])
        curvature = (x * (p * (1 - p))[:, None]).T @ x + prior * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weight = weight - step * min(1.0, 2.0 / max(1e-9, float(np.abs(step).max())))
    return Calibration(float(weight[0]), float(weight[1]))


def calibration_error(odds: NDArray[np.float64], done: NDArray[np.bool_]) -> float:
    """Mean gap between what was said and what happened, over even bins of the former (Guo et al. 2017)."""
    there = np.isfinite(odds)
    said, was = 1 / (1 + np.exp(-odds[there])), done[there]
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = [abs(said[place == b].sum() - was[place == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(said))


def measure(
    odds: NDArray[np.float64], rival_odds: NDArray[np.float64], data: Labelled
) -> dict[str, dict[str, object]]:
    """Precision and recall of steps and of whole episodes, by arm and task, with 95 % intervals.

    An episode counts as a success, for the model as for the label, if its last steps do. "mistaken" is how
    many episodes that were successes seem to be what another variation's goal asks for.

    Args:
        odds: Calibrated log-odds of every step.
        rival_odds: The same, against goals of other variations.
        data: The steps.
    """
    cells: dict[str, dict[str, object]] = {}
    for cell in sorted({(e.arm, e.task) for e in data.episodes}):
        own = np.array([(e.arm, e.task) == cell for e in data.episodes])
        rows = own[data.episode_of] & np.isfinite(odds)
        said, was = _at_the_end(odds, own, data)
        mistaken, done = _at_the_end(rival_odds, own, data)
        wrong = mistaken[done]
        cells[" ".join(cell)] = {
            "steps": Agreement.of(odds[rows] > 0, data.done[rows]).record(),
            "episodes": Agreement.of(said, was).record(),
            "mistaken": asdict(Rate.of(int(wrong.sum()), len(wrong))) if len(wrong) else None,
        }
    return cells


def _at_the_end(
    odds: NDArray[np.float64], own: NDArray[np.bool_], data: Labelled
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of some episodes, whether they seem done at the end and whether they are."""
    ends = [int(end) for end, mine in zip(data.ends, own, strict=True) if mine and np.isfinite(odds[end - 1])]
    starts = [max(0, end - data.hold) for end in ends]
    said = [odds[start:end].mean() > 0 for start, end in zip(starts, ends, strict=True)]
    return np.array(said, dtype=bool), np.array([data.done[end - 1] for end in ends], dtype=bool)


def table(measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """Arms and tasks down; precision and recall of steps and of episodes across, and what was mistaken."""
    heads = [f"{name} of {what}" for what in ("steps", "episodes") for name in ("precision", "recall")]
    title = "on episodes kept apart, with 95 % intervals [%]"
    shown = Table("arm and task", *heads, "mistaken", title=title)
    for cell, parts in measured.items():
        both = [parts[what][name] for what in ("steps", "episodes") for name in ("precision", "recall")]
        shown.add_row(cell, *map(in_percent, both), in_percent(parts["mistaken"]))
    return shown
