# MuJoCo's classes and functions live in extension modules without stubs, which a type checker cannot read.
from typing import Any

def __getattr__(name: str) -> Any: ...
