"""LeRobot's own loader, batches on demand. LeRobot's Python runs this; it knows nothing of this project.

    <python> peer_loader.py <dataset> <episodes a batch> <workers>

For each line on its input it loads so many batches as the line says, and answers with the seconds they took.
The first answer, unasked, is what is loaded, as JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torch.utils.data import DataLoader


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    """Batches of one epoch after another."""
    while True:
        yield from loader


def main(root: Path, batch: int, workers: int) -> None:
    """Answers until the input ends."""
    dataset = LeRobotDataset("local/set", root=root, video_backend="pyav")
    loader = DataLoader(
        dataset, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=True
    )
    batches = endless(loader)
    shapes = {key: list(value.shape) for key, value in next(batches).items() if hasattr(value, "shape")}
    print(json.dumps({"frames": len(dataset), "workers": workers, "batch": shapes}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            next(batches)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
