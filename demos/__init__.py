"""Demonstrations: episodes, the store that keeps them, the one environment loop, and scripted experts."""
