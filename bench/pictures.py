"""Pictures for the README: every arm at home, what each task begins and ends with, and a run's loop.

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

from finetune.loop_picture import loop_drawing
from finetune.run_folder import read_run
from finetune.standing import Standing
from sim.arms import ARMS
from sim.arms.arm import Arm
from sim.env import make
from sim.scene import Scene, cell
from sim.tasks import TASKS
from sim.things.blocks import BLOCKS

DOCS = Path(__file__).parents[1] / "docs"
SIDE_PX = 320
FINER = 3  # pictures are drawn so many times larger and shrunk, which smooths their edges
GAP_PX, LINE_PX = 8, 30
ACROSS = 5  # arms in a row at most: in the README a row is as wide as the page
INK, PAPER = (30, 30, 34), (255, 255, 255)
# Blocks on the table before the arm, for its size to be seen: x, y [m] and yaw [rad].
LAID = {"red": (0.52, -0.12, 0.3), "green": (0.46, 0.12, -0.2), "blue": (0.57, 0.03, 0.6)}
SHOWN = {"reach": "green", "push": "red", "lift": "blue", "place": "green", "stack": "red-on-blue"}

Pixels = NDArray[np.uint8]


def main(out: Path = DOCS, arm: str = "ur5e", seed: int = 11) -> None:
    """Writes arms.png and tasks.png.

    Args:
        out: Folder that they go to.
        arm: Which arm shows the tasks.
        seed: Scene of the first task; the others have the next ones.
    """
    out.mkdir(parents=True, exist_ok=True)
    arms = [(each.title, portrait(each)) for each in ARMS.values()]
    rows = [arms[i : i + ACROSS] for i in range(0, len(arms), ACROSS)]
    _grid(rows).save(out / "arms.png", optimize=True)
    begins, ends = zip(*(_task(arm, task, seed + i) for i, task in enumerate(TASKS)), strict=True)
    _grid([begins, ends]).save(out / "tasks.png", optimize=True)
    print(out / "arms.png", out / "tasks.png", sep="\n")


def loop(run: tyro.conf.Positional[Path] = Path("runs/cycle"), out: Path = DOCS) -> None:
    """Writes loop.svg: what went round the loop in a run.

    Args:
        run: Folder of the run.
        out: Folder that it goes to.
    """
    record = read_run(run)
    (out / "loop.svg").write_text(loop_drawing(record, Standing.of(record, record.scores)), encoding="utf-8")
    print(out / "loop.svg")


def portrait(arm: Arm) -> Pixels:
    """An arm at home with three blocks, in better light than the agent's pictures have."""
    model = _lit(arm).compile()
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


def _lit(arm: Arm) -> mujoco.MjSpec:
    """The arm's cell with a bright table, soft light, shadows and a white surrounding."""
    spec = cell(arm, BLOCKS)
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


def _task(arm: str, task: str, seed: int) -> tuple[tuple[str, Pixels], tuple[str, Pixels]]:
    """The first picture of an episode and its goal, from the front, with captions."""
    env = make(arm, task, cameras=("front",), size=FINER * SIDE_PX)
    observation, _ = env.reset(seed=seed, options={"variation": SHOWN[task]})
    first, goal = observation["images"]["front"], observation["goal"]["front"]
    return (f"{task}: {SHOWN[task]}", _shrunk(first)), ("its goal", _shrunk(goal))


def _shrunk(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX))


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
