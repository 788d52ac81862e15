"""Pictures in the page: rollouts as small animations beside their goal image, and reconstructions.

Which rollouts are shown is decided by scene, not by outcome: for each arm and task the scenes that most
models met, the lowest seeds first, with every model that met them side by side.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.episode import Episode
from demos.manifest import Entry
from demos.store import EpisodeStore
from finetune.markup import Html, absent, data_uri, join, many, percent, tag, whole
from finetune.run_folder import Cell, Run, rank
from finetune.standing import Standing

Frames = NDArray[np.uint8]

MOST_BYTES = 100_000
"""Of one animation."""
ALL_BYTES = 8_000_000
"""Of all animations together; in the page they are a third larger."""
_SCENES_EACH = 2
_LAST_FRAME_MS = 1200  # the outcome stays for a moment before the clip begins again
_MOST_FRAMES = 60


def clips_section(run: Run, standing: Standing) -> Html:
    """Rollouts by arm and task, scene by scene, models side by side."""
    if (stock := run.stores.get("clips")) is None or not stock.entries:
        return absent("recorded rollouts", "stores/clips")
    store = EpisodeStore(run.path / "stores" / "clips")
    chosen = choose(stock.entries)
    tried = list(dict.fromkeys((*standing.cells, *chosen)))
    left = ALL_BYTES
    groups: list[Html] = []
    for cell in sorted(chosen, key=lambda cell: (cell not in standing.new_cells, tried.index(cell))):
        figures: list[Html] = []
        for entry in (entry for scene in chosen[cell] for entry in scene):
            figure, taken = _clip(store.load(entry.id))
            if taken <= left:
                left -= taken
                figures.append(figure)
        badge = join(tag("span", word, class_="badge") for word in standing.news(cell))
        groups += [tag("h3", " ".join(cell), badge), tag("div", *figures, class_="clips")]
    note = tag(
        "p",
        "Left the goal image, right what the model did. Scenes are the first by seed that most models met, "
        "whatever the outcome.",
        class_="note",
    )
    return join((note, *groups))


def choose(entries: Sequence[Entry]) -> dict[Cell, list[list[Entry]]]:
    """For each arm and task up to `_SCENES_EACH` scenes, each with one episode per model that met it."""
    scenes: dict[Cell, dict[tuple[int, str], dict[str, Entry]]] = {}
    for entry in entries:
        by_scene = scenes.setdefault((entry.arm, entry.task), {})
        by_scene.setdefault((entry.seed, entry.variation), {}).setdefault(
            entry.policy or entry.controller, entry
        )
    return {
        cell: [
            [met[model] for model in sorted(met, key=rank)]
            for _, met in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:_SCENES_EACH]
        ]
        for cell, found in scenes.items()
    }


def _clip(episode: Episode) -> tuple[Html, int]:
    """A figure of one episode, and how many bytes its pictures take."""
    meta, camera = episode.meta, episode.meta.cameras[0]
    film = animation(episode.images[camera], meta.control_hz)
    pictures = [tag("img", src=data_uri("image/webp", film), alt="what the model did", loading="lazy")]
    taken = len(film)
    if camera in episode.goal:
        goal = still(episode.goal[camera])
        taken += len(goal)
        pictures.insert(0, tag("img", src=data_uri("image/webp", goal), alt="goal image"))
    model = meta.provenance.policy or meta.provenance.controller
    ended = episode.first_success
    if episode.succeeded and ended is not None:
        outcome = f"\N{CHECK MARK} success after {(ended + 1) / meta.control_hz:.1f} s"
    else:
        outcome = f"\N{MULTIPLICATION X} failure after {episode.length / meta.control_hz:.1f} s"
    what = " ".join(filter(None, (meta.arm, meta.task, meta.variation)))
    caption = tag(
        "figcaption",
        tag("strong", model),
        tag("span", outcome, class_="outcome"),
        tag("small", f"{what}, seed {meta.provenance.seed}"),
    )
    kind = "success" if episode.succeeded else "failure"
    return tag("figure", tag("div", *pictures, class_="pair"), caption, class_=f"clip {kind}"), taken


def animation(frames: Frames, hz: float) -> bytes:
    """An endless animated WebP of at most `MOST_BYTES`.

    Args:
        frames: (T, H, W, 3) RGB.
        hz: Frames per second of the recording; long ones are thinned, never sped up.
    """
    every = -(-len(frames) // _MOST_FRAMES)
    for quality in (75, 50, 30, 10):
        data = _webp(frames, every, hz, quality)
        if len(data) <= MOST_BYTES:
            return data
    while len(data) > MOST_BYTES and every < len(frames):  # noise, or very large images
        every *= 2
        data = _webp(frames, every, hz, 10)
    return data


def _webp(frames: Frames, every: int, hz: float, quality: int) -> bytes:
    # The last frame shows how it ended, so it is always one of them.
    kept = frames[::-1][::every][::-1]
    times = [round(1000 * every / hz)] * (len(kept) - 1) + [_LAST_FRAME_MS]
    first, *others = (Image.fromarray(frame) for frame in kept)
    out = io.BytesIO()
    first.save(
        out, "WEBP", save_all=True, append_images=others, duration=times, loop=0, quality=quality, method=4
    )
    return out.getvalue()


def still(frame: Frames) -> bytes:
    """One (H, W, 3) RGB picture as lossless WebP."""
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "WEBP", lossless=True, method=4)
    return out.getvalue()


def tokeniser_section(run: Run) -> Html:
    """How well codes keep images: two numbers, and pictures before and after."""
    if run.tokeniser is None:
        return absent("a finished tokeniser", "tokeniser/card.json")
    card = run.tokeniser
    used = card.codes_used / max(1, card.codes)
    facts = (
        tag(
            "p",
            tag("strong", f"{card.psnr_db:.1f} dB"),
            " peak signal-to-noise ratio on images kept from training",
        ),
        tag(
            "p",
            tag("strong", f"{whole(card.codes_used)} of {whole(card.codes)}"),
            f" codes in use ({percent(used)})",
        ),
        tag("div", tag("i", style=f"width:{100 * used:.1f}%"), class_="usage", role="presentation"),
    )
    return join(
        (tag("div", *facts, class_="facts"), _reconstructions(run.path / "tokeniser" / "reconstructions.npz"))
    )


def _reconstructions(file: Path) -> Html:
    if not file.exists():
        return absent("pictures of reconstructions", "tokeniser/reconstructions.npz")
    originals, again = _read_pair(file)
    figures: list[Html] = []
    for before, after in zip(originals, again, strict=True):
        error = float(np.square(before.astype(np.float64) - after).mean())
        ratio = f"{10 * np.log10(255**2 / error):.1f} dB" if error > 0 else "exact"
        pictures = (
            tag("img", src=data_uri("image/webp", still(picture)), alt=what)
            for picture, what in ((before, "original"), (after, "reconstruction"))
        )
        figures.append(tag("figure", *pictures, tag("figcaption", ratio)))
    note = tag(
        "p", f"{many(len(figures), 'image')} kept from training: above as drawn, below out of their codes."
    )
    return join((note, tag("div", *figures, class_="pairs")))


def _read_pair(file: Path) -> tuple[Frames, Frames]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            originals, again = arrays["original"], arrays["reconstruction"]
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{file} holds no original and reconstruction: {error}") from error
    if (
        originals.shape != again.shape
        or originals.ndim != 4
        or {originals.dtype, again.dtype} != {np.dtype("uint8")}
    ):
        got = f"{originals.dtype} {originals.shape} and {again.dtype} {again.shape}"
        raise ValueError(f"{file}: got {got}, expected two arrays uint8 (N, H, W, 3) of one shape")
    return originals, again
