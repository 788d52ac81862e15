"""Loop one: the VQ-GAN, on images drawn from stores.

For example:

    robocat tokenise --stores runs/cycle/stores/demos --out runs/cycle/tokeniser

and, when a generation has seen what is new, on from there, with the old images too:

    robocat tokenise --parent runs/cycle/tokeniser --stores runs/cycle/stores/demos runs/mine --out runs/next
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from demos.fidelity import errors, psnr_db
from demos.store import EpisodeStore
from robocat.checkpoint import (
    CheckpointError,
    clear_state,
    config_hash,
    finished,
    read_json,
    seeded,
    write_atomically,
    write_json,
)
from robocat.config import TokeniserTraining
from robocat.devices import best, device_of
from robocat.extension import effects
from robocat.loop import Course, Values, run
from robocat.patches import Pixels, PixelsConfig
from robocat.presets import PRESETS
from robocat.schedule import learning_rate, set_learning_rate
from robocat.tokeniser import Tokeniser, load_tokeniser, save_tokeniser
from robocat.vqgan import VQGAN, Critic, VQGANConfig, to_pixels
from sim.names import pick
from sim.tasks import refuse_held_out

Batch = tuple[int, Tensor, Tensor]  # a seed, pixels (B, 3, H, W), what each counts (B, 1, H, W)
SHOWN = 12  # reconstructions kept for the report
FLOOR = 0.05  # of the peak learning rate, at the end
HELD_OUT = 400  # images never trained on, at most a quarter: error and codebook usage are measured on these


def tokenise(
    stores: tuple[Path, ...] = (Path("runs/cycle/stores/demos"),),
    out: Path = Path("runs/cycle/tokeniser"),
    *,
    preset: str = "nano",
    steps: int | None = None,
    pixels: bool = False,
    parent: Path | None = None,
) -> None:
    """Trains the image tokeniser (VQ-GAN) on the images of stores; goes on where it was interrupted.

    Args:
        stores: Stores whose images are learnt, evenly over all episodes.
        out: Folder of the checkpoint.
        preset: Which preset's sizes and schedule.
        steps: Optimiser steps instead of the preset's.
        pixels: Train nothing: leave images as they are, for agents that read patches of pixels.
        parent: A tokeniser to extend: training begins from its weights, and what that does to each store's
            images is measured. Agents that read the parent's codes cannot act by the new ones, but may go on
            learning with them (`robocat train --extended`).
    """
    chosen = pick(PRESETS, preset, "preset")
    if pixels:
        if not finished(out):
            save_tokeniser(out, Pixels(PixelsConfig(chosen.vqgan.size)), {})
        print(f"{out}: pixels as they are, {chosen.vqgan.size} x {chosen.vqgan.size}")
        return
    training = chosen.tokeniser if steps is None else replace(chosen.tokeniser, steps=steps)
    before = "finished before, " if finished(out) else ""
    train_tokeniser(stores, out, chosen.vqgan, training, chosen.seed, parent=parent)
    card = read_json(out / "card.json")
    use = f"{card['codes_used']} of {card['codes']} codes in use"
    print(f"{out}: {before}PSNR {card['psnr_db']:.1f} dB, {use}")
    for store, each in card.get("extended", {}).items():
        print(
            f"{store}: PSNR {each['before_db']:.2f} dB before, {each['after_db']:.2f} dB now "
            f"({each['gain_db']:+.2f} ± {each['gain_half_db']:.2f}, {each['images']} images), "
            f"{each['codes_kept']:.0%} of the codes as before"
        )


def train_tokeniser(
    stores: Sequence[Path],
    out: Path,
    config: VQGANConfig,
    training: TokeniserTraining,
    seed: int,
    *,
    parent: Path | None = None,
) -> None:
    """Trains a VQ-GAN to `out`, going on from where it was interrupted, see `robocat.loop`; once only.

    Args:
        stores: Episode stores whose images are learnt.
        out: Folder of the checkpoint.
        config: The network.
        training: The schedule.
        seed: Seeds weights and draws.
        parent: A tokeniser of the same network to begin from.

    Raises:
        OSError: If there are no episodes.
        ValueError: If images are of another size, or of a task that is held out.
        CheckpointError: If `out` holds an unfinished training of something else, or see `_parent`.
        TrainingDiverged: If a loss is no longer finite.
    """
    if finished(out):
        clear_state(out)  # what a kill right after the end left
        return
    drawn = draw_images(stores, training.images, config.size, seeded(seed, 11))
    device, origin = best(), None if parent is None else _parent(parent, config)
    torch.manual_seed(seed)  # only now: a parent draws numbers when it is loaded, unless it was before
    model, critic = VQGAN(config) if origin is None else origin.copy(), Critic()
    models = {"model": model.to(device), "critic": critic.to(device)}
    optimisers = _optimisers(model, critic, training)
    digests = [EpisodeStore(store).digest() for store in stores]
    course = Course(
        out,
        "tokeniser",
        settings={"vqgan": asdict(config), "training": asdict(training)},
        models=models,
        optimisers=optimisers,
        identity=config_hash(config, digests, training.images, seed, *([origin.weights] if origin else [])),
        steps=training.steps,
        checkpoint_every=training.checkpoint_every,
    )
    run(course, *_learning(model, critic, optimisers, drawn, training, seed=seed))
    card = _card(model, drawn.images[: drawn.held], out) | _extended(model, origin, drawn.apart(stores))
    write_json(out / "card.json", card)
    lineage = _lineage(stores, digests, drawn, parent, origin)
    save_tokeniser(out, model, {"training": asdict(training), "seed": seed, "card": card, "lineage": lineage})
    clear_state(out)


def _lineage(
    stores: Sequence[Path],
    digests: Sequence[str],
    drawn: "Drawn",
    parent: Path | None,
    origin: Tokeniser | None,
) -> dict[str, Any]:
    """What was learnt from, and gone on from."""
    learnt = [{"path": str(store), "digest": d} for store, d in zip(stores, digests, strict=True)]
    begun = {"parent": {"path": str(parent), "weights": origin.weights}} if origin is not None else {}
    return {"stores": learnt, "images": len(drawn.images)} | begun


def _optimisers(
    model: VQGAN, critic: Critic, training: TokeniserTraining
) -> dict[str, torch.optim.Optimizer]:
    rate, decay = training.learning_rate, training.weight_decay
    return {
        "model": torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.95), weight_decay=decay),
        "critic": torch.optim.AdamW(critic.parameters(), training.critic_learning_rate, betas=(0.5, 0.9)),
    }


def _extended(
    model: VQGAN, parent: Tokeniser | None, apart: Mapping[str, NDArray[np.uint8]]
) -> dict[str, Any]:
    """What came of images kept apart, by store, where a tokeniser was gone on from."""
    if parent is None:
        return {}
    enough = {store: images for store, images in apart.items() if len(images) > 1}
    return {"extended": effects(parent, Tokeniser(deepcopy(model), ""), enough)}


def _parent(folder: Path, config: VQGANConfig) -> Tokeniser:
    """What is extended.

    Raises:
        CheckpointError: If it is absent or another network.
    """
    parent = load_tokeniser(folder)
    if parent.config != config:
        raise CheckpointError(f"{folder} is {parent.config}, expected {config}, as the preset has it")
    return parent


def _learning(
    model: VQGAN,
    critic: Critic,
    optimisers: Mapping[str, torch.optim.Optimizer],
    drawn: "Drawn",
    training: TokeniserTraining,
    *,
    seed: int,
) -> tuple[Callable[[int], Batch], Callable[[int, Batch], Values]]:
    """What a step of a number learns from, and that step, as `robocat.loop` takes them."""
    means = camera_means(drawn.images, drawn.views).to(device_of(model))

    def draw(number: int) -> Batch:
        rng = seeded(seed, 12, number)
        return int(rng.integers(2**31)), *drawn.batch(rng, means, training)

    def step(number: int, batch: Batch) -> Values:
        revived, pixels, weight = batch
        torch.manual_seed(revived)  # what revives dead codes
        set_learning_rate(optimisers["model"], rate := _rate(training, number))
        losses = _step(model, critic, optimisers, pixels, weight_B1HW=weight, training=training, step=number)
        return {**losses, "learning_rate": rate}

    return draw, step


def _rate(training: TokeniserTraining, step: int) -> float:
    return learning_rate(step, training.steps, training.learning_rate, training.warm_up, FLOOR)


def _step(
    model: VQGAN,
    critic: Critic,
    optimisers: Mapping[str, torch.optim.Optimizer],
    pixels_BCHW: Tensor,
    *,
    weight_B1HW: Tensor,
    training: TokeniserTraining,
    step: int,
) -> dict[str, Tensor]:
    """One step of the tokeniser and, once it has taken shape and on every other step, of its critic."""
    optimiser, judge = optimisers["model"], optimisers["critic"]
    model.train()
    result = model(pixels_BCHW)
    error = result.images - pixels_BCHW
    reconstruction = (weight_B1HW * (error.abs() + error.square())).mean()
    loss = reconstruction + training.commitment * result.commitment
    start = training.critic_from * training.steps
    if step >= start and step % 2 == 0:
        loss = loss - training.critic_weight * critic(result.images).mean()
        if training.perceptual_weight:
            loss = loss + training.perceptual_weight * critic.unlikeness(result.images, pixels_BCHW)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    losses = {
        "reconstruction": reconstruction.detach(),
        "commitment": result.commitment.detach(),
    }
    if step >= 0.8 * start and step % 2 == 0:
        # Hinge loss (Esser et al. 2021); the critic begins before it counts.
        verdict = F.relu(1 - critic(pixels_BCHW)).mean() + F.relu(1 + critic(result.images.detach())).mean()
        judge.zero_grad(set_to_none=True)
        verdict.backward()
        judge.step()
        losses["critic"] = verdict.detach()
    return losses


class Drawn(NamedTuple):
    """Images of stores, in random order.

    Attributes:
        images: (N, size, size, 3).
        views: (N,) a number naming camera and arm.
        sources: (N,) the number of the store.
    """

    images: NDArray[np.uint8]
    views: NDArray[np.int64]
    sources: NDArray[np.int64]

    @property
    def held(self) -> int:
        """How many of the first images are kept apart."""
        return min(HELD_OUT, len(self.images) // 4)

    def apart(self, stores: Sequence[Path]) -> dict[str, NDArray[np.uint8]]:
        """What is kept apart of each store, by its path."""
        images, sources = self.images[: self.held], self.sources[: self.held]
        return {str(store): images[sources == number] for number, store in enumerate(stores)}

    def batch(
        self, rng: np.random.Generator, means: Tensor, training: TokeniserTraining
    ) -> tuple[Tensor, Tensor]:
        """Pixels (B, 3, H, W) of images that are not kept apart, and what each counts (B, 1, H, W)."""
        choice = self.held + rng.integers(len(self.images) - self.held, size=training.batch)
        pixels = to_pixels(torch.from_numpy(self.images[choice]).to(means.device))
        return pixels, rarity(pixels, means[self.views[choice]], training.rarity)


def draw_images(stores: Sequence[Path], count: int, size: int, rng: np.random.Generator) -> Drawn:
    """Draws about `count` images evenly over episodes and cameras, none twice.

    Raises:
        OSError: If there are no episodes.
        ValueError: If images are of another size, or of a task that is held out.
    """
    opened = list(enumerate(map(EpisodeStore, stores)))
    entries = [(number, store, entry) for number, store in opened for entry in store.entries()]
    refuse_held_out((entry.task for *_, entry in entries), "its images are not learnt")
    if not entries:
        raise OSError(f"no episodes in {', '.join(map(str, stores))}; `robocat collect` makes some")
    _, store, entry = entries[0]
    cameras = store.load(entry.id, images=False).meta.cameras
    each = max(1, round(count / len(entries) / len(cameras)))
    images: list[NDArray[np.uint8]] = []
    views: dict[tuple[str, str], int] = {}
    owners: list[int] = []
    sources: list[int] = []
    for index in rng.permutation(len(entries))[: max(1, count // (len(cameras) * each))]:
        number, store, entry = entries[index]
        seen = entry.length + 1
        frames = rng.choice(seen, size=min(each, seen), replace=False).tolist()
        for camera in cameras:
            images.append(store.frames(entry.id, camera, frames))
            if (shape := images[-1].shape[1:]) != (size, size, 3):
                raise ValueError(f"{entry.id} has images {shape}, this tokeniser reads ({size}, {size}, 3)")
            owners += [views.setdefault((entry.arm, camera), len(views))] * len(frames)
            sources += [number] * len(frames)
    stack = np.concatenate(images)
    order = rng.permutation(len(stack))
    return Drawn(stack[order], np.array(owners)[order], np.array(sources)[order])


def camera_means(images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> Tensor:
    """Mean picture of each camera, pixels in [-1, 1] (cameras, 3, H, W)."""
    means = np.stack([images[cameras == c].mean(axis=0) for c in range(int(cameras.max()) + 1)])
    return torch.from_numpy(means.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1.0)


def rarity(pixels_BCHW: Tensor, means_BCHW: Tensor, strength: float) -> Tensor:
    """Weight of each pixel (B, 1, H, W), mean 1, larger where a picture differs from its camera's mean."""
    weight = 1 + strength * (pixels_BCHW - means_BCHW).abs().mean(dim=1, keepdim=True).clamp(max=1.0)
    return weight / weight.mean()


def _card(model: VQGAN, held: NDArray[np.uint8], out: Path) -> dict[str, Any]:
    """Measures held-out images and keeps some with their reconstructions."""
    model.eval()
    seen = torch.from_numpy(held).to(device_of(model))
    codes = torch.cat([model.encode(batch) for batch in seen.split(64)])
    again = torch.cat([model.decode(batch) for batch in codes.split(64)]).cpu().numpy()
    card: dict[str, Any] = {
        "psnr_db": float(psnr_db(errors(held, again)).mean()),
        "codes_used": len(torch.unique(codes)),
        "codes": model.config.codes,
        "images": len(held),
    }
    shown = BytesIO()
    np.savez_compressed(shown, original=held[:SHOWN], reconstruction=again[:SHOWN])
    write_atomically(out / "reconstructions.npz", shown.getvalue())
    return card
