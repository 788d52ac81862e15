"""The agent: image tokeniser, vocabulary, transformer, training and evaluation.

Importing this package loads nothing, torch least of all: `robocat --help` must answer at once.
"""

__version__ = "0.1.0"
