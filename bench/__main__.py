"""What can be measured or drawn: each entry is a function whose parameters are its flags.

python -m bench                     # all that need no run
python -m bench sim --repeats 10
python -m bench cycle runs/cycle
python -m bench loop runs/cycle
"""

import importlib
import sys

import tyro

from sim.names import UnknownName, pick

BENCHES: dict[str, tuple[str, str]] = {
    "sim": ("bench.sim:main", "how fast the simulation is, and what takes the time"),
    "worlds": ("bench.worlds:main", "how fast many worlds at once are, how long to build, how much memory"),
    "peers": ("bench.peers:main", "how fast the simulation is beside robosuite's and others'"),
    "teleop": ("bench.teleop:main", "how long a key takes to change a pixel in the browser"),
    "store": ("bench.store:main", "how fast a store of ten thousand episodes is, and how big"),
    "packing": ("bench.packing:main", "how images and states are best kept: bytes, time and loss"),
    "collect": ("bench.collect:main", "how many demonstrations an hour are stored, and what takes the time"),
    "exchange": ("bench.exchange:main", "how long other projects' formats take, and how much memory"),
    "experts": ("bench.experts:main", "how often the scripted experts succeed"),
    "multiply": ("bench.multiply:main", "how often demonstrations done again in new scenes succeed"),
    "pictures": ("bench.pictures:main", "docs/arms.png and docs/tasks.png"),
    "loop": ("bench.pictures:loop", "docs/loop.svg, from a run"),
    "agent": ("bench.agent:main", "how fast an agent trains and acts, and its data comes"),
    "loaders": ("bench.loaders:main", "how fast training's data comes beside LeRobot's own loader"),
    "policy": ("bench.policy:policy", "how fast a trained policy acts"),
    "ablation": ("bench.ablation:main", "what a part of the agent is worth, trained anew on a run's data"),
    "parity": ("bench.parity:parity", "whether AdaTape tells odd from even, which the plain trunk does not"),
    "practice": ("bench.practice:practice", "what practice is worth, and how it is best learnt from"),
    "extension": ("bench.extension:extension", "what the next generation gains by an extended tokeniser"),
    "judge": ("bench.judge:judge", "what a run's success model gets right"),
    "cycle": ("bench.cycle:cycle", "what a finished cycle reached"),
}
ALONE = ("sim", "worlds", "experts", "pictures")  # those that need no run


def main(args: list[str]) -> int:
    """Runs the bench named first, with its flags, or those that need no run; returns the exit code."""
    if args[:1] in (["-h"], ["--help"]):
        print("usage: python -m bench [name] [options]\n")
        print(*(f"  {name:<11}{line}" for name, (_, line) in BENCHES.items()), sep="\n")
        return 0
    try:
        chosen = (
            {args[0]: pick(BENCHES, args[0], "bench")} if args else {name: BENCHES[name] for name in ALONE}
        )
    except UnknownName as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for name, (target, _) in chosen.items():
        module, function = target.split(":")
        try:
            tyro.cli(getattr(importlib.import_module(module), function), args=args[1:], prog=f"bench {name}")
        except (ValueError, OSError) as error:
            print(f"bench {name}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
