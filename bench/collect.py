"""How many demonstrations are stored in an hour: the Panda's lifts, seen by two cameras.

python -m bench collect
"""

import cProfile
import pstats
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench.measure import summary
from bench.record import write
from demos.collect import Collection, collect_experts, expert_pieces
from demos.store import EpisodeStore
from demos.workers import work

TARGET_PER_HOUR = 20_000
DEAREST = 12  # functions that are listed, by the time within them


def main(episodes: int = 200, size: int = 64, workers: int = 2, repeats: int = 5, seed: int = 0) -> None:
    """Collects, then profiles a piece in this process, and writes results/collect.json.

    Args:
        episodes: To collect; processes start and scenes are built within the time.
        size: Of the pictures of both cameras [px].
        workers: Processes.
        repeats: How often all of that.
        seed: Of the first episode.
    """
    plan = Collection(("panda",), ("lift",), episodes, seed, size)
    with tempfile.TemporaryDirectory() as folder:
        seconds: list[float] = []
        for number in range(repeats):
            start = time.perf_counter()
            collect_experts(Path(folder) / f"store-{number}", plan, workers, "demonstrations")
            seconds.append(time.perf_counter() - start)
        steps = sum(entry.length for entry in EpisodeStore(Path(folder) / "store-0").entries())
        dearest = _profile(Path(folder) / "profiled", plan)
    per_hour = summary([3600 * episodes / each for each in seconds], "episodes an hour")
    print(f"{per_hour} episodes an hour, {steps} steps each time; target {TARGET_PER_HOUR}")
    what = {
        "n": repeats,
        "episodes": episodes,
        "steps": steps,
        "size": size,
        "workers": workers,
        "seed": seed,
    }
    figures = {"per_hour": asdict(per_hour), "target": TARGET_PER_HOUR}
    write("collect", {**what, **figures, "dearest": dearest})


def _profile(store: Path, plan: Collection) -> list[dict[str, object]]:
    """Where one piece's time goes, once its environments are built: seconds within each function."""
    first, *_ = expert_pieces(store, plan)
    work(first)  # builds the environments, which are kept
    profiler = cProfile.Profile()
    again = expert_pieces(store.with_name("profiled-again"), plan)[0]
    profiler.runcall(work, again)
    stats = pstats.Stats(profiler).get_stats_profile().func_profiles
    by_time = sorted(stats.items(), key=lambda item: -item[1].tottime)[:DEAREST]
    return [
        {"function": f"{Path(each.file_name).name}:{name}", "calls": each.ncalls, "seconds": each.tottime}
        for name, each in by_time
    ]
