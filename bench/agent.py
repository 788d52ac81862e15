"""How fast an agent is: training, acting, data and tokenising, for presets by name, on the device at hand.

python -m bench agent                                      # nano, on a CPU or on CUDA, whichever is there
python -m bench agent --presets 364M 1.2B --parts training acting
python -m bench agent --parts loading --run runs/cycle     # a run's own token shards, not made-up ones

Weights are random and tokens made up: neither changes how long anything takes. Training is the product's own:
its loop draws from shards, copies, steps and reads the numbers back, and only says nothing and keeps nothing.
On CUDA in bfloat16.

Two definitions of model FLOPs utilisation (MFU), both of what the device could do and without recomputation:

    mfu_6n          6 x N x tokens / s / peak
    mfu_attention   (6 x N + 12 x blocks x width x length) x tokens / s / peak

N counts the matrices of the trunk and, for the share of tokens that they are read off, those of the heads;
embeddings multiply nothing, and a stem that merges codes is left out. `length` is that of a window, and
attention is counted in full although half of it is masked, as others do (mosaicml/llm-foundry). The peak is
the maker's for dense bfloat16 where it is known; on a CPU it is what a large product of float32 matrices
reaches here just before.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.agent_acting import acting
from bench.agent_data import loading, make_shards, tokenising
from bench.record import write
from bench.timed import WARM_UP, Taken, intervals, timed
from robocat.agent import Agent, Window
from robocat.agent_config import AgentConfig
from robocat.batch import Batch
from robocat.config import Preset
from robocat.devices import device_of
from robocat.loop import taken
from robocat.mixture import Source
from robocat.objective import Part
from robocat.patches import Pixels, PixelsConfig
from robocat.presets import PRESETS
from robocat.sequence import Layout
from robocat.tokens import TokenSet
from robocat.train import learning, make_optimiser, mixture_of
from robocat.vocabulary import BINS, Embodiment, embodiment
from sim.arms import find_arm
from sim.names import pick
from sim.proprioception import channels

PARTS = {
    "training": "tokens and windows a second, MFU",
    "acting": "p50, p99, Hz",
    "loading": "control steps a second from token shards",
    "tokenising": "images a second",
}
# Dense bfloat16 [FLOP/s], NVIDIA's data sheets: H100 SXM and H200 alike, A100.
PEAKS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12}
SECONDS = 10.0  # that each part is measured for, at least


def main(
    *,
    presets: tuple[str, ...] = ("nano",),
    parts: tuple[str, ...] = tuple(PARTS),
    device: str | None = None,
    run: Path | None = None,
    batch: int | None = None,
    at_once: bool = False,
    packed: bool | None = None,
    micro: int | None = None,
    arms: tuple[int, ...] = (1,),
    threads: int = 1,
    seconds: float = SECONDS,
) -> None:
    """Measures and writes results/agent-<presets>-<device>.json.

    Args:
        presets: Which.
        parts: "training", "acting", "loading", "tokenising".
        device: "cpu" or "cuda"; CUDA if there is one.
        run: A run whose demonstrations' tokens are loaded; made-up ones if not given.
        batch: Windows a training step instead of the preset's; what fits into the memory, on CUDA.
        at_once: Act with all numbers of an action at once.
        packed: Train on windows of all of the preset's arms in one row, or on those of its first arm, instead
            of as the preset has it.
        micro: Windows a training step computes at a time instead of the preset's.
        arms: How many arms act side by side; several numbers are tried one after another.
        threads: Of a CPU, for training and acting.
        seconds: That each part is measured for, at least.
    """
    for part in parts:
        pick(PARTS, part, "part")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if where.type == "cpu":
        torch.set_num_threads(threads)
    figures: dict[str, dict[str, Any]] = {}
    for name in presets:
        preset = pick(PRESETS, name, "preset")
        preset = replace(preset, agent=replace(preset.agent, at_once=at_once or preset.agent.at_once))
        each = figures.setdefault(name, {})
        if "training" in parts:
            how = replace(
                preset.train,
                batch=batch or preset.train.batch,
                micro=preset.train.micro if micro is None else micro,
                packed=preset.train.packed if packed is None else packed,
                precision="bf16" if where.type == "cuda" else preset.train.precision,
            )
            each["training"] = training(replace(preset, train=how), where, seconds)
        if "acting" in parts:
            agent, body = make_agent(preset, where), body_of(preset.collection.arms[0])
            windows = {count: made_up(agent, body, count, where, learning=False) for count in arms}
            each["acting"] = acting(preset, agent, body, windows, device=where, seconds=seconds)
        if "loading" in parts:
            each["loading"] = loading(preset, run, seconds)
        if "tokenising" in parts:
            each["tokenising"] = tokenising(preset, where, seconds)
    Console().print(table(figures))
    about = {"device": device_name(where), "threads": threads, "at_once": at_once}
    write(f"agent-{'-'.join(presets)}-{where.type}", {**about, "presets": figures})


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def peak_flops(device: torch.device) -> float:
    """What the device could do [FLOP/s]: its maker's figure, or what a large product of matrices reaches.

    Raises:
        ValueError: For an accelerator that PEAKS does not know.
    """
    if device.type == "cuda":
        name = device_name(device)
        known = [peak for part, peak in PEAKS.items() if part in name]
        if not known:
            raise ValueError(f"no peak is known of {name!r}; known: {', '.join(PEAKS)}")
        return known[0]
    size = 1536
    a, b = torch.randn(size, size), torch.randn(size, size)
    taken = timed(lambda: a @ b, device, 1.0)
    return 2 * size**3 / min(taken.seconds)


# Training


def training(preset: Preset, device: torch.device, seconds: float) -> dict[str, Any]:
    """Whole optimiser steps: from made-up shards to numbers that are read."""
    agent, how = make_agent(preset, device), preset.train
    arms = preset.collection.arms if how.packed else preset.collection.arms[:1]
    sizes: list[list[tuple[Layout, int]]] = []  # of each batch
    with TemporaryDirectory() as folder:
        small = replace(preset, collection=replace(preset.collection, arms=arms))
        sources = [Source(TokenSet(make_shards(Path(folder), small, episodes=200)))]
        mixture = mixture_of(sources, how, preset.agent)
        draw, step = learning(agent, make_optimiser(agent, how), mixture, how, seed=0)

        def noted(number: int) -> Batch:
            batch = draw(number)
            sizes.append([(agent.layout(body), len(window.proprio)) for body, window in batch.parts])
            return batch

        multiplied, peak = multiplied_parameters(agent, draw(0).parts), peak_flops(device)
        with closing(taken(noted, step, range(1_000_000))) as steps:
            found = intervals(steps, seconds)
    counted = [each for batch in sizes[WARM_UP : WARM_UP + found.n] for each in batch]
    return _figures(agent, preset, counted, found, multiplied=multiplied, peak=peak)


def _figures(
    agent: Agent,
    preset: Preset,
    counted: Sequence[tuple[Layout, int]],
    found: Taken,
    *,
    multiplied: float,
    peak: float,
) -> dict[str, Any]:
    """What follows from the layouts and numbers of windows of some steps and the seconds of each."""
    windows, taken_s = sum(count for _, count in counted), sum(found.seconds)
    tokens = sum(count * layout.read_length for layout, count in counted)
    length, rate = tokens / windows, tokens / taken_s
    attention = 12 * preset.agent.blocks * preset.agent.width * length
    device = device_of(agent)
    return {
        **asdict(found),
        "precision": preset.train.precision,
        "packed": preset.train.packed,
        "micro": preset.train.micro,
        "windows_a_step": preset.train.batch,
        "tokens_a_window": length,
        "control_steps_a_window": sorted({layout.context for layout, _ in counted}),
        "parameters": sum(p.numel() for p in agent.parameters()),
        "multiplied_parameters_a_token": multiplied,
        "peak_flops": peak,
        "tokens_a_second": rate,
        "windows_a_second": windows / taken_s,
        "mfu_6n": 6 * multiplied * rate / peak,
        "mfu_attention": (6 * multiplied + attention) * rate / peak,
        "memory_gib": torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
    }


def multiplied_parameters(agent: Agent, parts: Sequence[Part]) -> float:
    """Parameters that a token is multiplied with, on average: the trunk's, and the heads' where they read.

    Of a mixture of experts those that a token passes.
    """
    config, (body, window) = agent.config, parts[0]
    layout = agent.layout(body, window.proprio.shape[1])
    trunk = sum(
        p.numel() for name, p in agent.trunk.named_parameters() if p.ndim == 2 and "experts" not in name
    )
    passed = sum(p.numel() for name, p in agent.trunk.named_parameters() if p.ndim == 2 and "experts" in name)
    trunk += passed * config.experts_used / max(1, config.experts)
    read = agent.bins.read.weight.numel() * layout.action_outputs.size / layout.read_length
    future = 0.0
    if agent.future is not None and config.future_weight and config.image_tokens == 0:
        cells = agent.codes if not config.future_cells else min(config.future_cells, agent.codes)
        scored = config.cameras * cells * layout.context
        future = agent.future.read.weight.numel() * scored / layout.read_length
    return trunk + read + future


# What all of them need


def make_agent(preset: Preset, device: torch.device) -> Agent:
    """An agent of a preset with random weights, made where it is used."""
    torch.manual_seed(0)
    with torch.device(device):
        if preset.agent.patch:
            pixels = Pixels(PixelsConfig(preset.vqgan.size))
            return Agent(preset.agent, pixels.vectors, pixels.config.cells)
        codebook = torch.randn(preset.vqgan.codes, preset.vqgan.code_dim)
        return Agent(preset.agent, codebook, preset.vqgan.cells)


def body_of(arm: str) -> Embodiment:
    """An arm's slots."""
    declared = find_arm(arm)
    return embodiment([channel.name for channel in channels(declared)], declared.action_names)


def made_up(
    agent: Agent, body: Embodiment, count: int, device: torch.device, learning: bool = True
) -> Window:
    """Windows of random tokens, as long as an arm's windows are in training."""
    config: AgentConfig = agent.config
    steps, codes = agent.layout(body).context, agent.codebook_shape[0]

    def bins(*shape: int, most: int = BINS) -> Tensor:
        return torch.randint(most, (count, *shape), device=device)

    images = (steps, config.cameras, agent.codes)
    seen = Window(
        proprio=bins(steps, len(body.proprio)),
        codes=bins(*images, most=codes),
        goal=bins(config.cameras, agent.codes, most=codes),
        action=bins(steps, len(body.action)),
    )
    if not learning:
        return seen
    return seen._replace(
        future=bins(*images, most=codes),
        meaning=bins(most=12),
        progress=bins(steps),
        later=bins(steps, config.chunk - 1, len(body.action)) if config.chunk > 1 else None,
    )


def table(figures: dict[str, dict[str, Any]]) -> Table:
    """The figures that matter, a line each."""
    shown = Table("preset", "what", "figure", title="how fast the agent is")
    for preset, parts in figures.items():
        if each := parts.get("training"):
            said = f"{each['tokens_a_second']:,.0f} tokens/s, {each['windows_a_second']:,.0f} windows/s"
            shown.add_row(preset, "training", said)
            shown.add_row(
                preset, "MFU", f"{each['mfu_6n']:.1%} (6N), {each['mfu_attention']:.1%} (attention too)"
            )
        if each := parts.get("acting"):
            for arms, figures_of in each["by_arms"].items():
                for what in ("decide", "see_and_decide"):
                    one = figures_of[what]
                    said = f"p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms, {one['hz']:.0f} Hz"
                    said += f", {figures_of['flop_a_decision'] * one['hz'] / 1e9:,.1f} GFLOP/s"
                    shown.add_row(preset, f"{what.replace('_', ' ')}, {arms} arms", said)
        for part, unit in (("loading", "control_steps_a_second"), ("tokenising", "images_a_second")):
            for who, rate in parts.get(part, {}).get(unit, {}).items():
                shown.add_row(preset, f"{part}, {who}", f"{rate:,.0f} {unit.replace('_a_second', '/s')}")
    return shown
