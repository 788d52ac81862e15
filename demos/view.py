"""`robocat view`: an episode as files that show on any machine: a sheet, a moving picture, a page to scrub.

robocat view runs/cycle/stores/demos      # the first episode of a store
robocat view runs/cycle/stores/demos --episode panda-lift-red-expert-000003-9a1b2c3d
robocat view runs/cycle/stores/demos --serve    # all episodes on a page, to filter, scrub and mark by hand
robocat view runs/cycle/stores/demos --rerun lift.rrd    # an episode for Rerun's viewer
robocat view panda lift                   # an arm and a task: its scripted expert at work
robocat view panda lift --native          # the same in MuJoCo's own viewer
robocat view my_arm.py lift               # an arm of the user's own
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tyro.conf import Positional, arg

from demos.browse.browser import browse
from demos.episode import Episode
from demos.expert import Expert
from demos.page import page
from demos.rerun_file import write_rerun
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.viewer import watch
from sim.env import make
from sim.names import UnknownName
from sim.own import arm_name, task_name
from sim.registration import arms_and_tasks

Pictures = Mapping[str, NDArray[np.uint8]]

TILE_PX = 160  # least side of a picture in a sheet; smaller ones are enlarged by a whole factor
MARGIN_PX = 10
LINE_PX = 20
LABEL_PX = 56  # for the cameras' names, left of their rows
INK, PAPER, PALE, GOLD = (30, 30, 34), (255, 255, 255), (140, 140, 146), (214, 160, 20)
INKS = {"success": (20, 130, 60), "failure": (180, 40, 30), "unjudged": PALE}


def view(
    what: Annotated[Positional[tuple[str, ...]], arg(metavar="STORE|ARM TASK")],
    *,
    episode: str | None = None,
    out: Path = Path("runs/view"),
    frames: int = 8,
    seed: int = 0,
    size: int = 160,
    native: bool = False,
    serve: bool = False,
    port: int = 8766,
    rerun: Path | None = None,
) -> None:
    """Writes pictures of a stored episode, or of a task with its expert at work, and prints where.

    With --serve a store is browsed instead of one episode being written: the same question, what is in there,
    asked of all of it, so it is no verb of its own.

    Args:
        what: Folder of a store; or an arm and a task, names or files that declare them; or both names as an
            environment has them, panda-lift.
        episode: Which episode of the store, by its id or its beginning; the first if not given.
        out: Folder that the pictures go to.
        frames: How many moments a sheet shows.
        seed: Scene of an arm and task.
        size: Height and width of its pictures [px].
        native: Show an arm and a task in MuJoCo's own viewer instead, one scene after the other.
        serve: Answer at an address of this machine, where a browser shows all episodes of a store.
        port: Port of that address.
        rerun: Write the episode to this file of Rerun's instead, .rrd.
    """
    ways = {"--native": native, "--serve": serve, "--rerun": rerun is not None}
    if len(given := [way for way, is_given in ways.items() if is_given]) > 1:
        raise ValueError(f"got {' and '.join(given)}; expected one way to show it")
    if seed < 0:
        raise ValueError(f"seed {seed} is out of range; expected 0 or more")
    if frames < 2:
        raise ValueError(f"frames {frames} is too few; expected 2 or more")
    store = _store(what, {"--episode": episode is not None, "--serve": serve})
    if store is not None and native:
        raise ValueError(f"{store.path} is a store; --native shows an arm and a task")
    if native:
        watch(*_environment(what), seed)
    elif store is not None and serve:
        browse(store, episode and _named(store, episode), port)
    else:
        shown = _stored(store, episode) if store is not None else _performed(*_environment(what), seed, size)
        if rerun is None:
            _write(*shown, out, frames)
        else:
            write_rerun(*shown, rerun)
            print(rerun)


def _store(what: Sequence[str], asks: Mapping[str, bool]) -> EpisodeStore | None:
    """The store that is named, or None where an arm and a task are; refuses options that ask for one then."""
    if len(what) not in (1, 2):
        raise ValueError(f"got {len(what)} names; expected a store, or an arm and a task")
    if len(what) == 1 and Path(what[0]).exists():
        return EpisodeStore(what[0])
    for option, is_given in asks.items():
        if is_given:
            raise ValueError(f"no store at {' '.join(what)}; {option} is for the episodes of one")
    return None


def _write(shown: Episode, goal: Pictures, out: Path, frames: int) -> None:
    """An episode's files, each of which is named on a line."""
    out.mkdir(parents=True, exist_ok=True)
    still, moving, scrubbed = (out / f"{shown.id}.{kind}" for kind in ("png", "gif", "html"))
    sheet(shown, goal, frames).save(still)
    scrubbed.write_text(page(shown, goal), encoding="utf-8")
    if not shown.meta.cameras:  # a real arm may have none: nothing moves
        print(still, scrubbed, sep="\n")
        return
    pictures = animation(shown, goal)
    period_ms = round(1000 / shown.meta.control_hz)
    # The end stays for a second, so that it can be seen before the beginning comes again.
    durations = [period_ms] * (len(pictures) - 1) + [1000]
    pictures[0].save(moving, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    print(still, moving, scrubbed, sep="\n")


def _stored(store: EpisodeStore, wanted: str | None) -> tuple[Episode, Pictures]:
    episode = store.load(_named(store, wanted))
    return episode, episode.goal


def _named(store: EpisodeStore, wanted: str | None) -> str:
    """The id that is wanted or begins so; the first one if none is."""
    ids = store.ids()
    if not ids:
        raise ValueError(f"the store {store.path} is empty; `robocat collect` fills one")
    found = [id for id in ids if id.startswith(wanted or "")]
    if wanted is not None and len(found) != 1 and wanted not in ids:
        some = ", ".join((found or ids)[:3])
        raise ValueError(f"{len(found)} episodes of {store.path} begin with {wanted!r}; it has {some}, ...")
    return found[0]


def _environment(what: Sequence[str]) -> tuple[str, str]:
    """The arm and the task that two names, two files or an environment's id name."""
    if len(what) == 2:
        return arm_name(what[0]), task_name(what[1])
    names = {f"{arm}-{task}": (arm, task) for arm, task in arms_and_tasks()}
    short = what[0].removeprefix("robocat/").removesuffix("-v0")
    if short not in names:
        # A thousand environments would bury the likelier mistake, a path that is wrong.
        near = difflib.get_close_matches(short, names, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownName(
            f"no store at {what[0]!r} and no such environment; {guess}expected the folder of a store, an arm "
            "and a task (see `robocat arms` and `robocat tasks`, or files of your own), or both as panda-lift"
        )
    return names[short]


def _performed(arm: str, task: str, seed: int, size: int) -> tuple[Episode, Pictures]:
    """An expert's episode in an environment, which is not kept, and the goal that the environment poses."""
    env = make(arm, task, size=size)
    goal = env.reset(seed=seed)[0]["goal"]
    return next(rollout([env], Expert(), [Attempt(seed)])), goal


def sheet(episode: Episode, goal: Pictures, frames: int) -> Image.Image:
    """The goal and a strip of moments for each camera, under a caption.

    Args:
        episode: With its images.
        goal: Picture per camera, or none.
        frames: How many moments, from the first to the last observation.
    """
    meta, factor = episode.meta, _factor(episode)
    tile = factor * meta.image_size[0]
    moments = np.unique(np.linspace(0, episode.length, frames).round().astype(int))
    left, top = MARGIN_PX + LABEL_PX, MARGIN_PX + 3 * LINE_PX + MARGIN_PX
    step = tile + 4
    width = left + (len(moments) + 1) * step + 2 * MARGIN_PX
    height = top + len(meta.cameras) * step + LINE_PX + MARGIN_PX
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    _caption(draw, episode)
    for row, camera in enumerate(meta.cameras):
        y = top + row * step
        _text(draw, (MARGIN_PX, y + tile // 2 - LINE_PX // 2), camera)
        _tile(image, goal.get(camera), (left, y), tile)
        for column, moment in enumerate(moments, start=1):
            picture = episode.images[camera][moment]
            _tile(image, picture, (left + column * step + MARGIN_PX, y), tile)
    y = top + len(meta.cameras) * step
    _text(draw, (left, y), "goal" if goal else "no goal shown", GOLD if goal else PALE)
    for column, moment in enumerate(moments, start=1):
        _text(draw, (left + column * step + MARGIN_PX, y), f"{moment / meta.control_hz:.1f} s", PALE)
    return image


def animation(episode: Episode, goal: Pictures) -> list[Image.Image]:
    """Every observation: the cameras side by side, and below them the goal."""
    meta, factor = episode.meta, _factor(episode)
    tile = factor * meta.image_size[0]
    rows = 2 if goal else 1
    size = (len(meta.cameras) * (tile + 4) - 4, rows * (tile + LINE_PX))
    pictures: list[Image.Image] = []
    for moment in range(episode.length + 1):
        image = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(image)
        for column, camera in enumerate(meta.cameras):
            x = column * (tile + 4)
            _text(draw, (x, 0), f"{camera}, {moment / meta.control_hz:.1f} s" if column == 0 else camera)
            _tile(image, episode.images[camera][moment], (x, LINE_PX), tile)
            if goal:
                _text(draw, (x, LINE_PX + tile), "goal", GOLD)
                _tile(image, goal.get(camera), (x, 2 * LINE_PX + tile), tile)
        pictures.append(image)
    return pictures


def _caption(draw: ImageDraw.ImageDraw, episode: Episode) -> None:
    meta, who = episode.meta, episode.meta.provenance
    _text(draw, (MARGIN_PX, MARGIN_PX), f"{meta.arm}  {meta.task}  {meta.variation}", size=17)
    first, ended = episode.first_success, meta.outcome.said
    if episode.succeeded and first is not None:
        ended = f"success after {(first + 1) / meta.control_hz:.1f} s"
    seconds = f"{episode.length} steps, {episode.length / meta.control_hz:.1f} s"
    _text(draw, (MARGIN_PX, MARGIN_PX + LINE_PX), ended, INKS[meta.outcome.word])
    x = MARGIN_PX + draw.textlength(ended, font=_font()) + 2 * MARGIN_PX
    policy = f" {who.policy}, generation {who.generation}" if who.policy else ""
    by = f"by {who.controller}{policy}, seed {who.seed}"
    _text(draw, (x, MARGIN_PX + LINE_PX), f"{seconds}    {by}    {meta.created[:16]}", PALE)
    _text(draw, (MARGIN_PX, MARGIN_PX + 2 * LINE_PX), meta.id, PALE)


def _factor(episode: Episode) -> int:
    return -(-TILE_PX // episode.meta.image_size[0])


def _tile(image: Image.Image, picture: NDArray[np.uint8] | None, at: tuple[int, int], side: int) -> None:
    if picture is None:
        box = (*at, at[0] + side - 1, at[1] + side - 1)
        ImageDraw.Draw(image).rectangle(box, outline=PALE)
    else:
        image.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), at)


def _font(size: int = 13) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _text(
    draw: ImageDraw.ImageDraw,
    at: Sequence[float],
    text: str,
    ink: tuple[int, int, int] = INK,
    size: int = 13,
) -> None:
    draw.text((at[0], at[1]), text, fill=ink, font=_font(size))
