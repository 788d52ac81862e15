"""Pictures for the README: every arm at home, what each task is to bring about, and a run's loop.

python -m bench pictures
python -m bench loop runs/cycle
"""

from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demos.expert import action_towards, aims
from finetune.loop_picture import loop_drawing
from finetune.run_folder import read_run
from finetune.standing import Standing
from sim.arms import ARMS, PAIRS
from sim.arms.arm import Arm
from sim.env import make
from sim.scene import Scene, cell
from sim.tasks import FOR_PAIRS, TASKS
from sim.tasks.handover import BAR
from sim.tasks.task import Task
from sim.things.blocks import BLOCKS
from sim.things.thing import Thing

DOCS = Path(__file__).parents[1] / "docs"
SIDE_PX = 320
FINER = 3  # pictures are drawn so many times larger and shrunk, which smooths their edges
GAP_PX, LINE_PX = 8, 30
ACROSS = 5  # arms in a row at most: in the README a row is as wide as the page
INK, PAPER = (30, 30, 34), (255, 255, 255)
HELD_OUT_INK = (170, 60, 20)
# Blocks on the table before the arm, for its size to be seen: x, y [m] and yaw [rad].
LAID = {"red": (0.52, -0.12, 0.3), "green": (0.46, 0.12, -0.2), "blue": (0.57, 0.03, 0.6)}
TILE_PX, TILES_ACROSS = 160, 10  # of the tasks' sheet
TILE_LINE_PX = 22
CAPTION = ImageFont.load_default(15)

Pixels = NDArray[np.uint8]
Ink = tuple[int, int, int]


def main(out: Path = DOCS, arm: str = "ur5e", seed: int = 11) -> None:
    """Writes arms.png, pair.png and tasks.png.

    Args:
        out: Folder that they go to.
        arm: Which arm shows the tasks.
        seed: Scene of the first task; the others have the next ones, and the next variations.
    """
    out.mkdir(parents=True, exist_ok=True)
    arms = [(each.title, portrait(each)) for each in ARMS.values()]
    rows = [arms[i : i + ACROSS] for i in range(0, len(arms), ACROSS)]
    _grid(rows).save(out / "arms.png", optimize=True)
    Image.fromarray(handover(seed)).save(out / "pair.png", optimize=True)
    tiles = [tile(arm, task, seed + i) for i, task in enumerate(TASKS.values())]
    tiles += [tile(pair, task, seed) for pair in PAIRS for task in FOR_PAIRS.values()]
    _sheet(tiles).save(out / "tasks.png", optimize=True)
    print(out / "arms.png", out / "pair.png", out / "tasks.png", sep="\n")


def loop(run: tyro.conf.Positional[Path] = Path("runs/cycle"), out: Path = DOCS) -> None:
    """Writes loop.svg: what went round the loop in a run.

    Args:
        run: Folder of the run.
        out: Folder that it goes to.
    """
    record = read_run(run)
    out.mkdir(parents=True, exist_ok=True)
    (out / "loop.svg").write_text(loop_drawing(record, Standing.of(record, record.scores)), encoding="utf-8")
    print(out / "loop.svg")


def portrait(arm: Arm) -> Pixels:
    """An arm at home with three blocks, in better light than the agent's pictures have."""
    model = _lit(arm, BLOCKS).compile()
    scene = Scene(arm, BLOCKS)
    scene.reset()
    for name, (x, y, yaw) in LAID.items():
        scene.place(name, np.array([x, y, 0.02]), yaw)
    scene.forward()
    camera = mujoco.MjvCamera()
    camera.lookat[:] = (0.27, 0.02, 0.30)
    camera.distance, camera.azimuth, camera.elevation = 1.5, 128.0, -16.0
    side = FINER * SIDE_PX
    with mujoco.Renderer(model, side, side) as renderer:
        renderer.update_scene(scene.data, camera)
        return _shrunk(renderer.render())


def handover(seed: int) -> Pixels:
    """Two arms as both hold the bar."""
    env = make("panda_pair", "handover", cameras=())
    env.reset(seed=seed)
    while not all(env.scene.grasped(BAR.name, limb) for limb in (0, 1)):
        where = aims(env.task, env.scene, env.variation)
        limbs = zip(env.scene.limbs, where, strict=True)
        env.step(np.concatenate([action_towards(limb, aim, env.control_hz) for limb, aim in limbs]))
    camera = mujoco.MjvCamera()
    camera.lookat[:] = (0.36, 0.0, 0.32)
    camera.distance, camera.azimuth, camera.elevation = 1.25, 165.0, -20.0
    high, wide = FINER * SIDE_PX, 2 * FINER * SIDE_PX
    spec = _lit(env.arm, env.task.things)
    spec.visual.global_.offwidth = wide
    with mujoco.Renderer(spec.compile(), high, wide) as renderer:
        renderer.update_scene(env.scene.data, camera)
        return np.asarray(
            Image.fromarray(renderer.render()).resize((2 * SIDE_PX, SIDE_PX), Image.Resampling.BOX)
        )


def _lit(arm: Arm, things: tuple[Thing, ...]) -> mujoco.MjSpec:
    """The arm's cell with a bright table, soft light, shadows and a white surrounding."""
    spec = cell(arm, things)
    visual = spec.visual
    visual.global_.offwidth = visual.global_.offheight = FINER * SIDE_PX
    visual.quality.shadowsize = 4096
    visual.quality.numslices, visual.quality.numstacks = 64, 32
    visual.headlight.ambient = (0.5, 0.5, 0.5)
    visual.headlight.diffuse = (0.2, 0.2, 0.2)
    spec.geom("table").rgba = (0.86, 0.86, 0.84, 1.0)
    lamp = spec.lights[0]
    lamp.pos, lamp.dir, lamp.castshadow = (0.9, -0.9, 2.2), (-0.3, 0.42, -1.0), True
    lamp.diffuse = (0.4, 0.4, 0.4)
    white = (1.0, 1.0, 1.0)
    spec.add_texture(
        name="surrounding",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=white,
        rgb2=white,
        width=8,
        height=8,
    )
    return spec


def tile(arm: str, task: Task, seed: int) -> tuple[str, Pixels, Ink]:
    """A task's name, a goal image of it from the front, and the ink of the name."""
    env = make(arm, task, cameras=("front",), size=FINER * TILE_PX)
    observation, _ = env.reset(seed=seed, options={"variation": task.variations[seed % len(task.variations)]})
    goal = _shrunk(observation["goal"]["front"], TILE_PX)
    return task.name, goal, HELD_OUT_INK if task.held_out else INK


def _shrunk(pixels: Pixels, side: int = SIDE_PX) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX))


def _sheet(tiles: Sequence[tuple[str, Pixels, Ink]]) -> Image.Image:
    """Rows of small pictures, each under its name."""
    step, high = TILE_PX + GAP_PX, TILE_PX + TILE_LINE_PX + GAP_PX
    rows = -(-len(tiles) // TILES_ACROSS)
    image = Image.new("RGB", (TILES_ACROSS * step - GAP_PX, rows * high), PAPER)
    draw = ImageDraw.Draw(image)
    for i, (name, pixels, ink) in enumerate(tiles):
        x, y = i % TILES_ACROSS * step, i // TILES_ACROSS * high
        draw.text((x, y + 2), name, fill=ink, font=CAPTION)
        image.paste(Image.fromarray(pixels), (x, y + TILE_LINE_PX))
    return image


def _grid(rows: Sequence[Sequence[tuple[str, Pixels]]]) -> Image.Image:
    """Rows of pictures, each under its caption."""
    step, high = SIDE_PX + GAP_PX, SIDE_PX + LINE_PX
    image = Image.new("RGB", (len(rows[0]) * step - GAP_PX, len(rows) * high), PAPER)
    draw = ImageDraw.Draw(image)
    for row, pictures in enumerate(rows):
        for column, (caption, pixels) in enumerate(pictures):
            x, y = column * step, row * high
            draw.text((x + 4, y + 7), caption, fill=INK, font=ImageFont.load_default(15))
            image.paste(Image.fromarray(pixels), (x, y + LINE_PX))
    return image
