"""A process that kills itself, as by -9, in the middle of what it does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

_CODE = """
import os, signal, sys
from pathlib import Path
{imports}

real, left = getattr(*{method}), [{after}]
def dies(*args, **options):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return real(*args, **options)
setattr(*{method}, dies)
{call}
"""


def killed(imports: str, method: str, after: int, call: str) -> None:
    """Runs `call` in another process, which dies when it would do `method` once more than `after` times.

    Args:
        imports: What `method` and `call` need.
        method: Such as "(EpisodeStore, 'commit')".
        after: How many times it is done.
        call: What is done.
    """
    code = _CODE.format(imports=imports, method=method, after=after, call=call)
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
