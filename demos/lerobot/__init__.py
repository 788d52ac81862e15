"""Stores as LeRobot's datasets (v3.0), which `lerobot` loads as its own. Needs the extra `lerobot`.

Written from the format's documentation and from files that lerobot 0.4.4 wrote; no code of that project.
"""
