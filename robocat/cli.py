"""The command line: one table of verbs, each an ordinary typed function that is imported when chosen.

The functions live in packages to the left and to the right of this one, so the table holds their names
and nothing imports this module. A verb fails by raising: `ValueError` and `OSError` are the user's and
become one line; anything else is ours and keeps its traceback. What a verb returns is ignored.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence

from robocat import __version__
from sim.names import UnknownName, pick

COMMANDS: dict[str, tuple[str, str]] = {
    "collect": ("demos.collect:collect", "record demonstrations by the scripted experts into a store"),
    "teleop": ("robocat.beside:teleop", "record demonstrations by a person at a browser into a store"),
    "multiply": ("demos.multiply:multiply", "make many demonstrations of a few, on other arms too"),
    "tokenise": ("robocat.train_tokeniser:tokenise", "train the image tokeniser (VQ-GAN) on stores"),
    "train": ("robocat.train:main_train", "train a generalist on stores"),
    "finetune": ("finetune.adapt:finetune", "fine-tune a generalist into a branch for an arm and its tasks"),
    "judge": ("robocat.train_success:train_judge", "train a model that judges success by what cameras see"),
    "practise": ("finetune.practice:practise", "let a branch attempt its task and store what it did"),
    "improve": ("finetune.improve:improve", "run the whole cycle: the next generation, or the first"),
    "evaluate": ("robocat.evaluate:evaluate", "measure success rates with intervals, on given seeds"),
    "view": ("demos.view:view", "show a stored episode, or an environment, as pictures; a store as a page"),
    "report": ("finetune.report:report", "write one self-contained page about a run"),
    "arms": ("sim.listing:arms", "list the arms"),
    "tasks": ("sim.listing:tasks", "list the tasks"),
    "data info": ("demos.stock:info", "say what a store holds"),
    "data filter": ("demos.stock:filter_", "make a store of some of another's episodes"),
    "data merge": ("demos.stock:merge", "make one store of several"),
    "data split": ("demos.stock:split", "deal a store's episodes out to several"),
    "data stats": ("demos.stats:stats", "say how long, successful and varied a store's episodes are"),
    "data compact": ("demos.compact:compact", "make a store of another's episodes with images kept as video"),
    "data relabel": ("demos.relabel:relabel", "set outcomes by hand, in a store of its own"),
    "data judge": ("robocat.verdicts:judge_store", "let a success model judge what nobody has"),
    "data replay": ("demos.again:again", "act a store's episodes again and measure the deviation"),
    "data check": ("demos.check:check", "verify every episode of a store"),
    "data export lerobot": ("demos.lerobot.write:export", "write a store as a dataset that LeRobot loads"),
    "data export robomimic": (
        "demos.robomimic.hdf5_write:export",
        "write a store as an HDF5 file of robomimic's",
    ),
    "data export minari": ("demos.minari_set:export", "write a store as a dataset of Minari's"),
    "data import lerobot": ("demos.lerobot.read:import_", "read a dataset of LeRobot's into a store"),
    "data import robomimic": (
        "demos.robomimic.hdf5_read:import_",
        "read an HDF5 file of robomimic's into a store",
    ),
    "data repair": ("demos.check:repair", "set damaged episodes aside; nothing is deleted"),
    "doctor": ("robocat.doctor:main", "find an OpenGL backend that draws, or say what to install"),
}

Command = Callable[..., object]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        0 if the verb came to its end, 1 if it raised a user's error, 2 if there is no such verb, 130 if
        it was interrupted.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["--version"]:
        print(f"robocat {__version__}")
        return 0
    try:
        verb, rest = _split(args)
    except UnknownName as error:
        print(f"robocat: {error}", file=sys.stderr)
        return 2
    if verb not in COMMANDS:
        print(_table(verb))
        return 0
    return _run(verb, rest)


def _split(args: list[str]) -> tuple[str, list[str]]:
    """Splits arguments into a verb and its own; a group's name ("", "data") asks for the group's table."""
    group, rest = "", args
    while True:
        names = _names(group)
        if not rest or rest[0] in ("-h", "--help"):
            return group, rest
        noun = f"{group} verb" if group else "verb"
        group = pick(names, rest[0], noun)
        rest = rest[1:]
        if group in COMMANDS:
            return group, rest


def _names(group: str) -> dict[str, str]:
    """The words that may follow `group`, each with what it and the group spell: {"check": "data check"}."""
    depth = len(group.split())
    below = [verb.split() for verb in COMMANDS if verb.split()[:depth] == group.split()]
    return {words[depth]: " ".join(words[: depth + 1]) for words in below}


def _table(group: str) -> str:
    start = f"{group} " if group else ""
    rows = {verb: line for verb, (_, line) in COMMANDS.items() if verb.startswith(start)}
    width = max(map(len, rows))
    return "\n".join(
        [
            f"usage: robocat {start}<verb> [options]",
            "",
            *(f"  {verb:<{width}}  {line}" for verb, line in rows.items()),
            "",
            "`robocat <verb> --help` lists a verb's options.",
            "ROBOCAT_TRACEBACK=1 shows where in the program an error came from.",
        ]
    )


def _run(verb: str, args: Sequence[str]) -> int:
    try:
        import tyro

        names = (tyro.conf.PositionalMetavarFromFieldName,)  # ARM TASK, where their type alone said STR STR
        tyro.cli(load(verb), args=args, prog=f"robocat {verb}", config=names)
        sys.stdout.flush()  # Here rather than at exit, so that a closed pipe is met below.
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `robocat tasks | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        if os.environ.get("ROBOCAT_TRACEBACK") == "1":
            raise
        print(f"robocat {verb}: {error}", file=sys.stderr)
        return 1
    return 0


def load(verb: str) -> Command:
    """Imports the function behind a verb of `COMMANDS`."""
    module, function = COMMANDS[verb][0].split(":")
    return getattr(importlib.import_module(module), function)
