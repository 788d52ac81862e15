"""Loop three: a success model on labelled stores, calibrated and measured on episodes kept apart.

For example:

    robocat judge --stores runs/cycle/stores/demos runs/cycle/stores/practice --out runs/cycle/judge

What is learnt from is drawn in `robocat.labelled`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from demos.progress import progress
from demos.rate import Rate
from robocat.checkpoint import (
    clear_state,
    config_hash,
    finished,
    load_state,
    read_config,
    save_state,
    seeded,
)
from robocat.labelled import Labelled, Pool, goal_rows, kind_of, labelled, rivals_of, split
from robocat.metrics import Metrics
from robocat.schedule import check_finite, learning_rate, set_learning_rate
from robocat.success import Calibration, SuccessConfig, SuccessModel, save_success
from robocat.tokeniser import load_tokeniser
from robocat.tokens import build
from sim.tasks import refuse_held_out

BINS = 10  # of the calibration error


@dataclass(frozen=True)
class SuccessTraining:
    """How a success model is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Camera images, each of all cameras, a step.
        learning_rate: Peak, reached after `warm_up` steps, then cosine to a fiftieth.
        held_out: Share of episodes kept apart.
        checkpoint_every: Steps between resume points.
    """

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 0.05
    held_out: float = 0.15
    checkpoint_every: int = 500


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
    """Trains a success model to `out`, resuming bit for bit; does nothing if it is finished.

    Raises:
        ValueError: If the stores hold no success on one of the three sides, or a task that is held out.
        CheckpointError: If the tokeniser is absent, or `out` holds an unfinished training of something else.
    """
    if finished(out):
        clear_state(out)
        return
    eyes = load_tokeniser(tokeniser)
    sets = [build(store, tokeniser, out.parent / "tokens") for store in stores]
    refuse_held_out((e.task for each in sets for e in each.episodes), "its successes are not learnt")
    everything = labelled(stores, sets)
    sides = split(everything, training.held_out)
    torch.manual_seed(seed)
    model = SuccessModel(config, eyes.codebook, eyes.config.cells)
    optimiser = torch.optim.AdamW(
        model.parameters(), training.learning_rate, betas=(0.9, 0.95), weight_decay=training.weight_decay
    )
    models, optimisers = {"model": model}, {"model": optimiser}
    digests = [each.store_digest for each in sets]
    identity = config_hash(config, digests, eyes.weights, training.held_out, seed)
    start = load_state(out, models, optimisers, identity, training.steps)
    settings = {"success": asdict(config), "training": asdict(training)}
    pool = Pool(sides["fit"])
    with (
        Metrics(out, "success", settings, resume_step=start) as metrics,
        progress("success model", training.steps) as advance,
    ):
        advance(start)
        for step in range(start, training.steps):
            rate = learning_rate(step, training.steps, training.learning_rate, training.warm_up, 0.02)
            set_learning_rate(optimiser, rate)
            loss = _step(model, optimiser, pool.draw(seeded(seed, 31, step), training.batch))
            check_finite({"loss": loss}, out, step)
            if step % 20 == 0 or step + 1 == training.steps:
                metrics.log(step, {"loss": loss, "learning_rate": rate})
            advance(1, note=f"loss {loss:.3f}")
            if (step + 1) % training.checkpoint_every == 0:
                save_state(out, step + 1, models, optimisers, identity)
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


def _step(
    model: SuccessModel, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, Tensor, Tensor]
) -> float:
    codes_BVN, goal_BVN, done_B = batch
    loss = F.binary_cross_entropy_with_logits(model(codes_BVN, goal_BVN), done_B)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


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
    goals, odds = goal_rows(data), np.full(len(data.done), np.nan)
    for number, (each, end) in enumerate(zip(data.episodes, data.ends, strict=True)):
        kind = kind_of(each)
        asked = rivals_of(kind, goals) if rivals else [kind] if kind in goals else []
        others = np.concatenate([np.zeros(0, dtype=np.int64), *(goals[each] for each in asked)])
        others = others[others != end - 1]
        if len(others):
            rows = np.arange(data.ends[number - 1] if number else 0, end)
            goal = torch.from_numpy(data.codes[rng.choice(others)].astype(np.int64))
            codes = torch.from_numpy(data.codes[rows].astype(np.int64))
            odds[rows] = model(codes, goal.expand_as(codes)).double().numpy()
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
            "steps": _confusion(odds[rows] > 0, data.done[rows]),
            "episodes": _confusion(said, was),
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


def _confusion(said: NDArray[np.bool_], was: NDArray[np.bool_]) -> dict[str, object]:
    both = int((said & was).sum())
    found: dict[str, object] = {"n": len(was), "done": int(was.sum()), "said": int(said.sum()), "both": both}
    for name, of in (("precision", said), ("recall", was)):
        found[name] = asdict(Rate.of(both, int(of.sum()))) if of.any() else None
    return found


def table(measured: dict[str, dict[str, dict[str, object]]]) -> Table:
    """Arms and tasks down; precision and recall of steps and of episodes across, and what was mistaken."""
    heads = [f"{name} of {what}" for what in ("steps", "episodes") for name in ("precision", "recall")]
    title = "on episodes kept apart, with 95 % intervals [%]"
    shown = Table("arm and task", *heads, "mistaken", title=title)
    for cell, parts in measured.items():
        both = [parts[what][name] for what in ("steps", "episodes") for name in ("precision", "recall")]
        shown.add_row(cell, *map(_said, both), _said(parts["mistaken"]))
    return shown


def _said(rate: object) -> str:
    if not isinstance(rate, dict):
        return "none"
    share = rate["successes"] / rate["n"]
    return f"{100 * share:.0f} ({100 * rate['low']:.0f}-{100 * rate['high']:.0f}), n {rate['n']}"
