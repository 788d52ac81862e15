"""The architecture, kept: sim <- demos <- robocat <- finetune, and one literal table of verbs on top."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_type_hints

import pytest

from robocat import cli

ROOT = Path(__file__).parents[1]
LAYERS = ("sim", "demos", "robocat", "finetune")  # Each imports itself and what stands before it.
TORCH_FREE = ("sim", "demos")
FILES = sorted(path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def _module(path: Path) -> str:
    """sim/arms/__init__.py -> sim.arms"""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or in a function; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: name the package"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_modules(layer: str) -> None:
    assert any(path.parts[0] == layer for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path: Path) -> None:
    above = LAYERS[LAYERS.index(path.parts[0]) + 1 :]
    upward = sorted(name for name in _imports(path) if name.split(".")[0] in above)
    assert not upward, f"{path} imports {', '.join(upward)}, which stands above it"


@pytest.mark.parametrize("layer", LAYERS[1:])
def test_what_stands_side_by_side_in_a_layer_knows_each_other_in_one_direction(layer: str) -> None:
    """Its files and folders, each folder as one: none imports what imports it."""
    needs: dict[str, set[str]] = {}
    for path in FILES:
        if path.parts[0] == layer and path.parts[1] != "__init__.py":
            own = path.with_suffix("").parts[1]
            named = {name.split(".")[1] for name in _imports(path) if name.startswith(f"{layer}.")}
            needs.setdefault(own, set()).update(named - {own})
    cycle: object = None
    try:
        list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        cycle = error.args[1]
    assert cycle is None, "these import each other in a ring"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] in TORCH_FREE], ids=str)
def test_torch_is_not_named_below_robocat(path: Path) -> None:
    assert not [name for name in _imports(path) if name.split(".")[0] == "torch"]


@pytest.mark.parametrize("path", [path for path in FILES if path != Path("robocat/__main__.py")], ids=str)
def test_nothing_imports_the_command_line(path: Path) -> None:
    assert "robocat.cli" not in set(_imports(path))


def test_module_names_are_unique() -> None:
    stems = Counter(path.stem for path in FILES if path.stem not in ("__init__", "__main__"))
    assert not [name for name, count in stems.items() if count > 1]


def test_importing_sim_and_demos_is_silent_and_loads_no_torch() -> None:
    names = [_module(path) for path in FILES if path.parts[0] in TORCH_FREE and path.stem != "__main__"]
    code = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("package", ["sim", "robocat"])
def test_importing_a_package_is_light(package: str) -> None:
    """`robocat --help` imports both."""
    code = f"import sys, {package}; print(*({{'torch', 'mujoco', 'numpy', 'gymnasium'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("verb", cli.COMMANDS)
def test_verb_is_a_typed_function(verb: str) -> None:
    target, line = cli.COMMANDS[verb]
    assert target.split(":")[0].split(".")[0] in LAYERS
    assert line and not line.endswith(".")
    function = cli.load(verb)
    assert inspect.isfunction(function)
    assert inspect.getdoc(function)
    hints = get_type_hints(function)
    assert set(inspect.signature(function).parameters) <= set(hints)


def test_every_function_of_the_table_is_another() -> None:
    targets = Counter(target for target, _ in cli.COMMANDS.values())
    assert max(targets.values()) == 1


def test_modules_import_by_their_names() -> None:
    """A file that nothing imports is still a file that must import."""
    for path in FILES:
        if path.stem != "__main__":
            assert importlib.import_module(_module(path)).__file__ == str(ROOT / path)
