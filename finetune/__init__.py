"""Self-improvement: branches, practice, and the next generation."""
