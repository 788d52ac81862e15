"""Self-improvement: branches, practice, and the next generation."""

import robocat as robocat  # before torch, whose waiting threads it makes yield the core
