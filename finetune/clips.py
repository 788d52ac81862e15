"""Pictures in the page: rollouts as small animations beside their goal image, and reconstructions.

Which rollouts are shown is decided by scene, not by outcome: for each arm and task the scenes that most
models met, the lowest seeds first, with every model that met them side by side.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.episode import Episode, Provenance
from demos.manifest import Entry
from demos.progress import progress
from demos.store import EpisodeStore
from finetune.markup import Html, absent, data_uri, join, many, percent, table, tag, whole
from finetune.run_folder import Cell, Run, TokeniserCard, rank
from finetune.standing import Standing
from robocat.extension import Effect

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
    with progress("rollouts in the report", sum(map(len, chosen.values()))) as advance:
        for cell in sorted(chosen, key=lambda cell: (cell not in standing.new_cells, tried.index(cell))):
            scenes: list[Html] = []
            for entries in chosen[cell]:
                for episodes in _by_goal([store.load(entry.id) for entry in entries]):
                    figure, taken = _scene(episodes, left)
                    left -= taken
                    scenes.append(figure)
                advance()
            badge = join(tag("span", word, class_="badge") for word in standing.news(cell))
            groups += [tag("h3", " ".join(cell), badge), tag("div", *scenes, class_="scenes")]
    note = (
        "The goal image, then what each model did with it. Scenes are the first by seed that most models "
        "met, whatever the outcome."
    )
    return join((tag("p", note, class_="note"), *groups))


def choose(entries: Sequence[Entry]) -> dict[Cell, list[list[Entry]]]:
    """For each arm and task up to `_SCENES_EACH` scenes, each with one episode per model that met it."""
    scenes: dict[Cell, dict[tuple[int, str], dict[str, Entry]]] = {}
    for entry in entries:
        by_scene = scenes.setdefault((entry.arm, entry.task), {})
        by_scene.setdefault((entry.seed, entry.variation), {}).setdefault(_actor(entry), entry)
    return {
        cell: [
            [met[model] for model in sorted(met, key=rank)]
            for _, met in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:_SCENES_EACH]
        ]
        for cell, found in scenes.items()
    }


def _by_goal(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Episodes of one scene, apart where they were shown different goals."""
    groups: dict[bytes, list[Episode]] = {}
    for episode in episodes:
        shown = b"".join(image.tobytes() for _, image in sorted(episode.goal.items()))
        groups.setdefault(shown, []).append(episode)
    return list(groups.values())


def _scene(episodes: Sequence[Episode], left: int) -> tuple[Html, int]:
    """A goal and what came of it, model by model, and how many bytes of the `left` ones the pictures take."""
    meta, camera = episodes[0].meta, episodes[0].meta.cameras[0]
    tiles: list[Html] = []
    taken = 0
    if camera in episodes[0].goal:
        goal = still(episodes[0].goal[camera])
        taken += len(goal)
        picture = tag("img", src=data_uri("image/webp", goal), alt="goal image")
        tiles.append(tag("div", picture, tag("span", "goal image"), class_="tile goal"))
    for episode in episodes:
        film, end = animation(episode.images[camera], meta.control_hz), still(episode.images[camera][-1])
        if taken + len(film) + len(end) <= left:
            taken += len(film) + len(end)
            tiles.append(_tile(episode, film, end))
        else:
            tiles.append(
                tag("div", f"{_actor(episode.meta.provenance)}: left out, the page is full", class_="tile")
            )
    what = " ".join(filter(None, (meta.arm, meta.task, meta.variation)))
    caption = tag("figcaption", f"{what}, seed {meta.provenance.seed}")
    return tag("figure", tag("div", *tiles, class_="strip"), caption, class_="scene"), taken


def _tile(episode: Episode, film: bytes, end: bytes) -> Html:
    """One rollout, with its model and its outcome in a word, a sign and a colour.

    Args:
        episode: What happened.
        film: The animation.
        end: Its last frame, shown on paper and to who wants no motion.
    """
    model = _actor(episode.meta.provenance)
    steps = episode.first_success
    if episode.succeeded and steps is not None:
        kind, sign, seconds = "success", "\N{CHECK MARK}", (steps + 1) / episode.meta.control_hz
    else:
        kind, sign, seconds = "failure", "\N{MULTIPLICATION X}", episode.length / episode.meta.control_hz
    pictures = (
        tag("img", src=data_uri("image/webp", data), alt=f"{model}: {kind}", class_=name, loading="lazy")
        for name, data in (("film", film), ("end", end))
    )
    outcome = tag(
        "span", sign, tag("span", f" {kind},", class_="word"), f" {seconds:.1f} s", class_="outcome"
    )
    return tag("div", *pictures, tag("strong", model), outcome, class_=f"tile {kind}")


def _actor(who: Entry | Provenance) -> str:
    """The name of the model that acted: a policy is recorded as name@hash."""
    return who.policy.partition("@")[0] if who.policy else who.controller


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
    """How well codes keep images, and what extending a tokeniser did to those of each store."""
    parts: list[Html] = []
    for name, each in run.tokenisers.items():
        if each.effects:
            parts += [tag("h3", f"{name}, extended for the next generation"), _effects(each.effects)]
        if each.card is not None:
            parts.append(_quality(each.card, run.path / name))
    return join(parts) if parts else absent("a finished tokeniser", "tokeniser/card.json")


def _effects(effects: Mapping[str, Effect]) -> Html:
    """Each store's images before and after a tokeniser was extended."""
    titles = ("images of", "images", "PSNR before", "now", "difference", "codes as before")
    rows = [
        tag(
            "tr", tag("th", store, scope="row"), *(tag("td", each, class_="number") for each in _said(effect))
        )
        for store, effect in effects.items()
    ]
    note = (
        "Signal-to-noise ratio [dB] on images kept from training, with the 95% interval of the mean "
        "difference. What the other codes mean, an agent that goes on learns anew."
    )
    return join(
        (tag("p", note, class_="note"), table([tag("th", title) for title in titles], rows, "effects"))
    )


def _said(effect: Effect) -> tuple[str, ...]:
    return (
        whole(effect.images),
        f"{effect.before_db:.2f}",
        f"{effect.after_db:.2f}",
        f"{effect.gain_db:+.2f} ± {effect.gain_half_db:.2f}",
        percent(effect.codes_kept),
    )


def _quality(card: TokeniserCard, folder: Path) -> Html:
    """Two numbers, and pictures before and after."""
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
    return join((tag("div", *facts, class_="facts"), _reconstructions(folder / "reconstructions.npz")))


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
