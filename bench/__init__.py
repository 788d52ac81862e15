"""Measurements and pictures behind the README; `python -m bench --help` lists them."""
