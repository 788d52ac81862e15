"""How long a key takes to change a pixel, and how well the beat is kept: in a real browser, on loopback.

python -m bench teleop

A key goes down in Chromium's page; the clock stops when the large picture, as the page has it, differs.
All is on one machine: the simulation, three pictures and their compression, the server and the browser.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import spread
from bench.record import write
from sim.extras import extra
from tests.driven import driven

WATCHED_S = 30.0  # of an episode in which the page is only looked at
# Looks whenever a picture has come, and stops the clock at the screen's frame that shows the first other one.
CHANGED = """
() => new Promise((done) => {
  const image = document.getElementById("operator"), canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pixels = () => {
    context.drawImage(image, 0, 0, 64, 64);
    return context.getImageData(0, 0, 64, 64).data;
  };
  const key = (kind) => dispatchEvent(new KeyboardEvent(kind, { key: "@" }));
  const before = pixels(), start = performance.now();
  const look = () => requestAnimationFrame(() => {
    if (pixels().every((value, i) => Math.abs(value - before[i]) <= 8)) return;
    image.removeEventListener("load", look);
    key("keyup");
    done(performance.now() - start);
  });
  image.addEventListener("load", look);
  key("keydown");
})
"""


def main(presses: int = 80, seed: int = 0) -> None:
    """Presses keys and waits for pixels; writes results/teleop.json.

    Args:
        presses: How many.
        seed: Of the pauses between them, so that they come at any moment of the beat.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise OSError("no chromium; apt-get install chromium brings one")
    playwright = extra("playwright.sync_api", "dev")
    with (
        tempfile.TemporaryDirectory() as folder,
        driven(Path(folder) / "store", size=64, limit_s=600.0) as server,
        playwright.sync_playwright() as driver,
    ):
        rng = np.random.default_rng(seed)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(server.web.guard.address)
        # Distances from 50 ms: of ticks, at which commands are given, and of what was recorded of them.
        ticks_ms: list[list[float]] = []
        recorded_ms: list[list[float]] = []
        waits_ms: list[float] = []
        # Waiting for pixels takes half of a core, so the beat is measured in an episode of its own too.
        for kept, measure in enumerate((lambda: time.sleep(WATCHED_S), lambda: _press(page, presses, rng))):
            page.wait_for_selector('body[data-phase="ready"]')
            page.keyboard.press("Enter")
            page.wait_for_selector('body[data-phase="recording"]')
            waits_ms = measure() or waits_ms
            periods_s = server.session.cadence.periods_s
            ticks_ms.append([abs(1000 * each - 50.0) for each in periods_s])
            page.keyboard.press("Enter")
            page.wait_for_selector(f'body[data-kept="{kept + 1}"]')
            episode = server.session._last.episode
            assert episode is not None
            recorded_ms.append(np.abs(1000 * np.diff(episode.wall_time) - 50.0).tolist())
        browser.close()
    result: dict[str, object] = {"key to pixel [ms]": spread(waits_ms)}
    for number, what in enumerate(("shown in the browser", "while waiting for pixels")):
        result[f"distance of ticks from 50 ms, {what} [ms]"] = spread(ticks_ms[number])
        result[f"distance of recorded periods from 50 ms, {what} [ms]"] = spread(recorded_ms[number])
    result["seed"] = seed
    for name, figures in result.items():
        print(name, figures)
    write("teleop", result)


def _press(page: Any, presses: int, rng: np.random.Generator) -> list[float]:
    """Presses down and up in turn, and returns how long each took to be seen [ms]."""
    waits_ms: list[float] = []
    for number in range(presses):
        time.sleep(0.5 + float(rng.uniform(0.0, 0.1)))
        waits_ms.append(page.evaluate(CHANGED.replace("@", "fr"[number % 2])))
    return waits_ms
