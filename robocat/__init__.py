"""The agent: image tokeniser, vocabulary, transformer, training and evaluation.

Importing this package loads nothing, torch least of all: `robocat --help` must answer at once.
"""

__version__ = "0.1.0"

import os as _os

# OpenMP threads that wait for each other by spinning take the core from whatever else runs: on two busy cores
# a training step of `nano` took eight times as long. OpenMP reads this once, when torch is first imported.
_os.environ.setdefault("OMP_WAIT_POLICY", "passive")
