"""Loop one: the VQ-GAN, on images drawn from stores.

    robocat tokenise --stores runs/cycle/stores/demos --out runs/cycle/tokeniser
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from demos.progress import progress
from demos.store import EpisodeStore
from robocat.checkpoint import clear_state, load_state, read_json, save_state, seeded, write_json
from robocat.config import TokeniserTraining
from robocat.metrics import Metrics
from robocat.presets import PRESETS
from robocat.schedule import check_finite, learning_rate, set_learning_rate
from robocat.tokeniser import save_tokeniser
from robocat.vqgan import VQGAN, Critic, VQGANConfig, to_pixels
from sim.names import pick

SHOWN = 12  # reconstructions kept for the report
HELD_OUT = 400  # images never trained on: reconstruction error and codebook usage are of these


def tokenise(
    stores: tuple[Path, ...] = (Path("runs/cycle/stores/demos"),),
    out: Path = Path("runs/cycle/tokeniser"),
    preset: str = "nano",
    steps: int | None = None,
) -> None:
    """Trains the image tokeniser (VQ-GAN) on the images of stores; goes on where it was interrupted.

    Args:
        stores: Stores whose images are learnt.
        out: Folder of the checkpoint.
        preset: Which preset's sizes and schedule.
        steps: Optimiser steps instead of the preset's.
    """
    chosen = pick(PRESETS, preset, "preset")
    training = chosen.tokeniser if steps is None else TokeniserTraining(**{**asdict(chosen.tokeniser), "steps": steps})
    train_tokeniser(stores, out, chosen.vqgan, training, chosen.seed)
    card = read_json(out / "card.json")
    print(f"tokeniser at {out}: PSNR {card['psnr_db']:.1f} dB, {card['codes_used']} of {card['codes']} codes in use")


def train_tokeniser(
    stores: Sequence[Path], out: Path, config: VQGANConfig, training: TokeniserTraining, seed: int
) -> None:
    """Trains a VQ-GAN to `out`, resuming bit for bit; does nothing if it is finished."""
    if (out / "config.json").exists():
        return
    torch.manual_seed(seed)
    images, cameras = draw_images(stores, training.images, config.size, seeded(seed, 11))
    fit, held = images[HELD_OUT:], images[:HELD_OUT]
    means = camera_means(images, cameras)
    model, critic = VQGAN(config), Critic()
    optimiser = torch.optim.AdamW(
        model.parameters(), training.learning_rate, betas=(0.9, 0.95), weight_decay=training.weight_decay
    )
    judge = torch.optim.AdamW(critic.parameters(), training.critic_learning_rate, betas=(0.5, 0.9))
    models, optimisers = {"model": model, "critic": critic}, {"model": optimiser, "critic": judge}
    start = load_state(out, models, optimisers)
    settings = {"vqgan": asdict(config), "training": asdict(training)}
    with Metrics(out, "tokeniser", settings, resume_step=start) as metrics, progress("tokeniser", training.steps) as advance:
        advance(start)
        for step in range(start, training.steps):
            rng = seeded(seed, 12, step)
            torch.manual_seed(int(rng.integers(2**31)))  # what revives dead codes
            choice = rng.integers(len(fit), size=training.batch)
            pixels = to_pixels(torch.from_numpy(fit[choice]))
            weight = rarity(pixels, means[cameras[HELD_OUT + choice]], training.rarity)
            set_learning_rate(optimiser, learning_rate(step, training.steps, training.learning_rate, training.warm_up, 0.05))
            losses = _step(model, critic, optimiser, judge, pixels, weight, training, step)
            check_finite(losses, out, step)
            if step % 20 == 0:
                metrics.log(step, {**losses, "learning_rate": optimiser.param_groups[0]["lr"]})
            advance(1, note=f"loss {losses['reconstruction']:.3f}")
            if (step + 1) % training.checkpoint_every == 0:
                save_state(out, step + 1, models, optimisers)
    card = _card(model, held, out)
    lineage = {"stores": [{"path": str(s), "digest": EpisodeStore(s).digest()} for s in stores], "images": len(images)}
    parameters = sum(p.numel() for p in model.parameters())
    save_tokeniser(out, model, {"training": asdict(training), "seed": seed, "card": card, "lineage": lineage, "parameters": parameters})
    clear_state(out)


def _step(
    model: VQGAN,
    critic: Critic,
    optimiser: torch.optim.Optimizer,
    judge: torch.optim.Optimizer,
    pixels_BCHW: Tensor,
    weight_B1HW: Tensor,
    training: TokeniserTraining,
    step: int,
) -> dict[str, float]:
    """One step of the tokeniser and, once it has taken shape and on every other step, of its critic."""
    model.train()
    result = model(pixels_BCHW)
    error = result.images - pixels_BCHW
    reconstruction = (weight_B1HW * (error.abs() + error.square())).mean()
    loss = reconstruction + training.commitment * result.commitment
    start = training.critic_from * training.steps
    if step >= start and step % 2 == 0:
        loss = loss - training.critic_weight * critic(result.images).mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    losses = {"reconstruction": float(reconstruction.detach()), "commitment": float(result.commitment.detach())}
    if step >= 0.8 * start and step % 2 == 0:
        # Hinge loss (Esser et al. 2021); the critic begins before it counts.
        verdict = F.relu(1 - critic(pixels_BCHW)).mean() + F.relu(1 + critic(result.images.detach())).mean()
        judge.zero_grad(set_to_none=True)
        verdict.backward()
        judge.step()
        losses["critic"] = float(verdict.detach())
    return losses


def draw_images(
    stores: Sequence[Path], count: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draws images evenly over episodes and cameras.

    Returns:
        Images (n, size, size, 3) in random order, and for each a number (n,) naming its camera and arm.

    Raises:
        OSError: If there are no episodes.
        ValueError: If images are of another size.
    """
    entries = [(store, entry) for path in stores for store in [EpisodeStore(path)] for entry in store.entries()]
    cameras = entries[0][0].load(entries[0][1].id, images=False).meta.cameras if entries else ()
    if not entries:
        raise OSError(f"no episodes in {', '.join(map(str, stores))}; `robocat collect` makes some")
    each = max(1, round(count / len(entries) / 2))
    images: list[NDArray[np.uint8]] = []
    views: dict[tuple[str, str], int] = {}
    owners: list[int] = []
    for index in rng.permutation(len(entries))[: max(1, count // (2 * each))]:
        store, entry = entries[index]
        frames = sorted(rng.integers(entry.length + 1, size=each).tolist())
        for camera in cameras:
            images.append(store.frames(entry.id, camera, frames))
            owners += [views.setdefault((entry.arm, camera), len(views))] * len(frames)
    stack = np.concatenate(images)
    if stack.shape[1:] != (size, size, 3):
        raise ValueError(f"stored images are {stack.shape[1:3]} px, this preset's tokeniser reads ({size}, {size})")
    order = rng.permutation(len(stack))
    return stack[order], np.array(owners)[order]


def camera_means(images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> Tensor:
    """Mean picture of each camera, pixels in [-1, 1] (cameras, 3, H, W)."""
    means = np.stack([images[cameras == c].mean(axis=0) for c in range(int(cameras.max()) + 1)])
    return torch.from_numpy(means.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1.0)


def rarity(pixels_BCHW: Tensor, means_BCHW: Tensor, strength: float) -> Tensor:
    """Weight of each pixel (B, 1, H, W), mean 1, larger where a picture differs from its camera's mean."""
    weight = 1 + strength * (pixels_BCHW - means_BCHW).abs().mean(dim=1, keepdim=True).clamp(max=1.0)
    return weight / weight.mean()


def _card(model: VQGAN, held: NDArray[np.uint8], out: Path) -> dict[str, float | int]:
    """Measures held-out images and keeps some with their reconstructions."""
    model.eval()
    codes = torch.cat([model.encode(batch) for batch in torch.from_numpy(held).split(64)])
    again = torch.cat([model.decode(batch) for batch in codes.split(64)]).numpy()
    error = np.square(held.astype(np.float64) - again).mean(axis=(1, 2, 3))
    card: dict[str, float | int] = {
        "psnr_db": float(np.mean(10 * np.log10(255**2 / np.maximum(error, 1e-9)))),
        "codes_used": len(torch.unique(codes)),
        "codes": model.config.codes,
        "images": len(held),
    }
    write_json(out / "card.json", card)
    with (out / "reconstructions.npz").open("wb") as file:
        np.savez_compressed(file, original=held[:SHOWN], reconstruction=again[:SHOWN])
    return card


