"""Exports that go on after a kill: parts are written aside and renamed, and joined when all are there.

For formats whose one file a killed writer would leave unreadable. What a kill costs is one part.
"""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from demos.staging import whole

PART = 25  # episodes


@contextmanager
def parts(folder: Path, plan: dict[str, object]) -> Generator[Path]:
    """The folder of an export's parts, which goes when the block ends well.

    Args:
        folder: Hidden, beside what is exported.
        plan: What is exported, and how; parts of another plan are thrown away.
    """
    path = folder / "plan.json"
    if not (path.exists() and json.loads(path.read_text(encoding="utf-8")) == plan):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with whole(path) as aside:
            aside.write_text(json.dumps(plan), encoding="utf-8")
    yield folder
    shutil.rmtree(folder)
