"""Other projects' formats: how long a thousand episodes take to write and to read, and in how much memory.

python -m bench exchange
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.collect import Collection, collect_experts
from demos.store import EpisodeStore

FEW = 100  # episodes, to see whether memory grows with their number
# What is measured, by name: words of the command line, with {store}, {out} and what the export before wrote.
WAYS: dict[str, str] = {
    "to lerobot, video": "export lerobot {store} --out {out}/video --outcome any",
    "to lerobot, lossless": "export lerobot {store} --out {out}/lossless --outcome any --pictures lossless",
    "to lerobot, image": "export lerobot {store} --out {out}/image --outcome any --pictures image",
    "from lerobot, lossless": "import lerobot {out}/lossless --out {out}/back-lossless",
    "from lerobot, image": "import lerobot {out}/image --out {out}/back-image",
    "to robomimic": "export robomimic {store} --out {out}/set.hdf5 --outcome any",
    "from robomimic": "import robomimic {out}/set.hdf5 --out {out}/back-robomimic",
    "to minari": "export minari {store} --out {out}/minari --outcome any",
}
CODE = """
import resource, sys
from robocat.cli import main
assert main(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main(episodes: int = 1000, size: int = 64, seed: int = 0) -> None:
    """Measures the Panda's lifts, each way in a process of its own, and writes results/exchange.json.

    Args:
        episodes: How many, beside a few.
        size: Of the pictures of both cameras [px].
        seed: Of the first episode.
    """
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (FEW, episodes):
            here = Path(folder) / str(count)
            plan = Collection(("panda",), ("lift",), count, seed, size)
            collect_experts(here / "store", plan, workers=2, description=f"{count} demonstrations")
            store = EpisodeStore(here / "store")
            for name, words in WAYS.items():
                said = _measured(words.format(store=store.path, out=here).split())
                figures.setdefault(name, {})[str(count)] = said
            for back in sorted(here.glob("back-*")):  # all of these are exact
                assert EpisodeStore(back).digest() == store.digest(), back
        steps = sum(entry.length for entry in store.entries())
    _show(figures)
    write(
        "exchange",
        {"n": 1, "episodes": episodes, "steps": steps, "size": size, "seed": seed, "ways": figures},
    )


def _measured(words: list[str]) -> dict[str, float]:
    """Seconds of wall time and the most memory [MiB] of one command."""
    start = time.perf_counter()
    command = [sys.executable, "-c", CODE, "data", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 2), "mib": round(json.loads(done.stdout.splitlines()[-1]) / 1024)}


def _show(figures: dict[str, dict[str, Any]]) -> None:
    counts = list(next(iter(figures.values())))
    table = Table("way", *(f"{count}: {unit}" for count in counts for unit in ("s", "MiB")))
    for name, said in figures.items():
        table.add_row(name, *(str(said[count][unit]) for count in counts for unit in ("seconds", "mib")))
    Console().print(table)
