"""The agent: decoding equals one uncached pass, nothing leaks from the future, and it can learn."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo import reset

from bench.variants import changed
from robocat.agent import Agent, Window
from robocat.agent_config import AgentConfig
from robocat.bins import BinHead, Values, expectation, likeliest, value_embedding
from robocat.objective import Losses, losses, soft_cross_entropy, weigh
from robocat.presets import NANO
from robocat.vocabulary import BINS, Embodiment, embodiment
from sim.arms import ARMS
from sim.proprioception import channels

CODES, NUMBERS, CELLS, BATCH = 16, 4, 4, 3
CASES: dict[str, dict[str, Any]] = {
    "faithful": changed(AgentConfig(context=1, context_tokens=0, drop=0.0), NANO.agent),
    "faithful-prefix": {"image_tokens": 0, "goal_at": "prefix", "goal_weight": 0.0},
    "merged-step": {"image_tokens": 2, "goal_at": "step"},
    "merged": {"image_tokens": 2, "goal_at": "prefix"},
    "tape": {"tape": 3},
    "tape-step": {"image_tokens": 0, "goal_at": "step", "goal_weight": 0.0, "tape": 3, "tape_bank": "input"},
    "experts": {"experts": 4},
    "at-once": {"at_once": True},
    "at-once-step": {"image_tokens": 0, "goal_at": "step", "goal_weight": 0.0, "at_once": True, "tape": 2},
    "chunk-at-once": {"at_once": True, "chunk": 3, "execute": 2},
}
CHUNK: dict[str, Any] = {"chunk": 3, "execute": 2}  # one number after another: for a context of one
layouts = pytest.mark.parametrize("layout", CASES)
contexts = pytest.mark.parametrize("context", [1, 3])


def _body(name: str) -> Embodiment:
    arm = ARMS[name]
    return embodiment([channel.name for channel in channels(arm)], arm.action_names)


PANDA, UR5E = _body("panda"), _body("ur5e")  # with 5 and 7 action numbers


def agent_of(**options: Any) -> Agent:
    small: dict[str, Any] = {"width": 16, "blocks": 2, "heads": 2, "patch_width": 8, "future_cells": 4}
    torch.manual_seed(1)
    book = F.normalize(torch.randn(CODES, NUMBERS), dim=1)
    return Agent(replace(NANO.agent, **small | options), book, CELLS).eval()


def window_of(
    body: Embodiment, steps: int, batch: int = BATCH, future: bool = True, chunk: int = 3
) -> Window:
    """What is planned beyond the first step is there whether or not the agent plans so far."""
    images = (batch, steps, 2, CELLS**2)
    later = (batch, steps, 2, len(body.action))
    return Window(
        proprio=torch.randint(BINS, (batch, steps, len(body.proprio))),
        codes=torch.randint(CODES, images),
        goal=torch.randint(CODES, (batch, 2, CELLS**2)),
        action=torch.randint(BINS, (batch, steps, len(body.action))),
        future=torch.randint(CODES, images) if future else None,
        meaning=torch.arange(batch) // 2,
        progress=torch.randint(BINS, (batch, steps)),
        later=torch.randint(BINS, later),
    )


def losses_of(agent: Agent, window: Window, body: Embodiment) -> Losses:
    return losses(agent, [(body, window)])


class Recorded:
    """Chooses as another and keeps the logits it saw."""

    def __init__(self, choose: Callable[[Tensor], Tensor]) -> None:
        self._choose = choose
        self.logits: list[Tensor] = []

    def __call__(self, logits_BZ: Tensor) -> Tensor:
        self.logits.append(logits_BZ)
        return self._choose(logits_BZ)

    def of(self, batch: int) -> Tensor:
        """What it saw of each number (B, Q, Z), whether one after another or all at once."""
        return torch.cat([each.view(batch, -1, BINS) for each in self.logits], dim=1)


@torch.inference_mode()
def _logits(agent: Agent, window: Window, body: Embodiment) -> Tensor:
    """Of every action number in one uncached pass (B, T, A, Z)."""
    layout = agent.layout(body, window.proprio.shape[1])
    return agent.bins(agent.trunk(agent.embed(window, body).tokens)[:, layout.action_outputs])


@torch.inference_mode()
@pytest.mark.parametrize("values", ["waves", "table"])
def test_what_numbers_look_like(values: Values) -> None:
    """As waves near ones look alike, in a view of each slot; in a table a bin is itself in any slot."""
    torch.manual_seed(0)
    embed = value_embedding(values, slots=3, width=64)
    x_ZPD = embed(torch.arange(BINS)[:, None, None].expand(-1, 1, 2), (0, 2))[:, 0]
    assert x_ZPD.shape == (BINS, 2, 64) and x_ZPD.unique(dim=0).shape[0] == BINS
    near, far = (x_ZPD[500] - x_ZPD[501]).norm(), (x_ZPD[500] - x_ZPD[800]).norm()
    assert (near < 0.2 * far) == (values == "waves")
    between_D = x_ZPD[:, 0] - x_ZPD[:, 1]
    assert torch.allclose(between_D, between_D[:1], atol=1e-5) == (values == "table")


@pytest.mark.parametrize("field", ["code_vectors", "values", "goal_at", "tape_bank"])
def test_words_that_are_none_of_the_choices_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"agent: {field}: got 'other', expected"):
        AgentConfig(**{field: "other"})  # pyright: ignore[reportArgumentType]


options = pytest.mark.parametrize(
    ("context", "options"),
    [(context, case) for case in CASES.values() for context in (1, 3)] + [(1, CHUNK)],
    ids=[f"{name}-{context}" for name in CASES for context in (1, 3)] + ["chunk-1"],
)


@options
@pytest.mark.parametrize("body", [PANDA, UR5E], ids=["panda", "ur5e"])
@pytest.mark.parametrize("choose", [likeliest, expectation], ids=["argmax", "expectation"])
def test_decoding_equals_one_uncached_pass(
    context: int, options: dict[str, Any], body: Embodiment, choose: Callable[[Tensor], Tensor]
) -> None:
    """Fed with what it chose, the network says the same without a cache; so does a half-full window."""
    agent = agent_of(context=context, **options)
    for steps in range(1, context + 1):
        window, recorded = window_of(body, steps, future=False), Recorded(choose)
        chosen = agent.act(window, body, recorded)
        plan = chosen.view(BATCH, agent.config.chunk, len(body.action))
        action, later = (
            window.action.clone(),
            torch.zeros(BATCH, steps, agent.config.chunk - 1, len(body.action)),
        )
        action[:, -1], later[:, -1] = plan[:, 0], plan[:, 1:]
        logits = _logits(agent, window._replace(action=action, later=later.long()), body)[:, -1]
        said = recorded.of(BATCH)
        torch.testing.assert_close(said, logits, rtol=1e-4, atol=1e-4)
        assert torch.equal(chosen, choose(said.flatten(0, 1)).view(BATCH, -1))


@options
def test_a_cache_of_fixed_shapes_decides_the_same(context: int, options: dict[str, Any]) -> None:
    """As on CUDA, where a step is captured: however many arms act and however far a window is filled."""
    plain, captured = agent_of(context=context, **options), agent_of(context=context, **options)
    captured.trunk._step = captured.trunk.forward  # pyright: ignore[reportPrivateUsage] nothing is compiled
    for body, steps, batch in ((PANDA, 1, 3), (UR5E, context, 2), (PANDA, context, 1)):
        window, one, other = window_of(body, steps, batch, future=False), *map(Recorded, [expectation] * 2)
        assert torch.equal(plain.act(window, body, one), captured.act(window, body, other))
        torch.testing.assert_close(other.of(batch), one.of(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [*CASES.values(), CHUNK], ids=[*CASES, "chunk"])
def test_acting_in_bfloat16(options: dict[str, Any]) -> None:
    """As on CUDA. Of the first number, before what was chosen differs, logits are near those in float32."""
    window, exact, rounded = window_of(PANDA, 1, future=False), *map(Recorded, [expectation] * 2)
    agent_of(**options).act(window, PANDA, exact)
    bins = agent_of(**options).to(torch.bfloat16).act(window, PANDA, rounded)
    assert bins.dtype == torch.int64 and 0 <= int(bins.min()) and int(bins.max()) < BINS
    first, near = exact.of(BATCH)[:, 0], rounded.of(BATCH)[:, 0]
    assert near.dtype == torch.bfloat16
    assert float((first - near).abs().max()) < 0.1 * float(first.std())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler has them of itself
@pytest.mark.parametrize("options", [{}, {"experts": 4}, CHUNK], ids=["merged", "experts", "chunk"])
def test_compiled_steps_decide_the_same(options: dict[str, Any]) -> None:
    reset()
    plain, compiled = agent_of(**options), agent_of(**options)
    compiled.trunk.capture()
    for batch in (3, 1):
        window, one, other = window_of(PANDA, 1, batch, future=False), *map(Recorded, [expectation] * 2)
        assert torch.equal(plain.act(window, PANDA, one), compiled.act(window, PANDA, other))
        torch.testing.assert_close(other.of(batch), one.of(batch), rtol=1e-4, atol=1e-4)


@options
def test_the_last_steps_action_is_not_read(context: int, options: dict[str, Any]) -> None:
    agent, window = agent_of(context=context, **options), window_of(PANDA, context, future=False)
    other = window.action.clone()
    other[:, -1] = 0
    assert torch.equal(
        agent.act(window, PANDA, expectation),
        agent.act(window._replace(action=other, later=None), PANDA, expectation),
    )


@pytest.mark.parametrize("layout", [name for name in CASES if "at-once" not in name])
@torch.inference_mode()
def test_logits_see_no_later_action_and_no_later_step(layout: str) -> None:
    agent, window = agent_of(context=3, **CASES[layout]), window_of(UR5E, 3)
    before, numbers = _logits(agent, window, UR5E), len(UR5E.action)
    for t in range(3):
        for a in range(numbers):
            action = window.action.clone()
            action[:, t, a] = (action[:, t, a] + BINS // 2) % BINS
            after = _logits(agent, window._replace(action=action), UR5E)
            place = t * numbers + a
            flat, moved = before.flatten(1, 2), after.flatten(1, 2)
            assert torch.equal(flat[:, : place + 1], moved[:, : place + 1])
            assert place + 1 == 3 * numbers or (flat[:, place + 1] - moved[:, place + 1]).abs().max() > 1e-6
    for key in ("proprio", "codes"):
        seen = getattr(window, key).clone()
        seen[:, 2] = 0
        after = _logits(agent, window._replace(**{key: seen}), UR5E)
        assert torch.equal(before[:, :2], after[:, :2])
        assert (before[:, 2] - after[:, 2]).abs().max() > 1e-6


@pytest.mark.parametrize("layout", [name for name in CASES if "at-once" in name])
@torch.inference_mode()
def test_at_once_sees_earlier_actions_only(layout: str) -> None:
    """No number of an action sees another of it; all see those of the steps before."""
    agent, window = agent_of(context=3, **CASES[layout]), window_of(UR5E, 3)
    before = _logits(agent, window, UR5E)
    for t in range(3):
        action = window.action.clone()
        action[:, t] = (action[:, t] + BINS // 2) % BINS
        after = _logits(agent, window._replace(action=action), UR5E)
        assert torch.equal(before[:, : t + 1], after[:, : t + 1])
        for later in range(t + 1, 3):
            assert (before[:, later] - after[:, later]).abs().amax(dim=(0, 2)).min() > 1e-6


@torch.inference_mode()
@pytest.mark.parametrize("at_once", [True, False])
def test_what_lies_beyond_the_end_is_not_learnt(at_once: bool) -> None:
    """Of a plan of three steps, by hand: the mean over the numbers that there are."""
    agent, window = agent_of(at_once=at_once, **CHUNK), window_of(PANDA, 1)
    assert window.later is not None
    later = window.later.clamp(min=0)
    later[0, 0, 1], later[1, 0] = -1, -1
    window = window._replace(later=later, learnt=weigh(torch.ones(BATCH, 1), later))
    logits = _logits(agent, window, PANDA).flatten(0, 1)
    target = torch.cat([window.action[:, :, None], later], dim=2).flatten(0, 1).flatten(1)
    there = target >= 0
    assert there.sum(dim=1).tolist() == [10, 5, 15]
    meant = soft_cross_entropy(logits[there], target[there], agent.config.target_bins)
    torch.testing.assert_close(losses_of(agent, window, PANDA).action, meant)


@layouts
@contexts
@torch.inference_mode()
def test_everything_observed_is_seen(layout: str, context: int) -> None:
    """Each proprioception number, each code of each image and of the goal moves the first action's logits."""
    agent, window = agent_of(context=context, **CASES[layout]).double(), window_of(PANDA, context, batch=1)
    for key in ("proprio", "codes", "goal"):
        count = getattr(window, key).numel()
        # One row as it is, and one for each number that is another; in doubles, or rows differ by rounding.
        rows = Window(*(torch.cat([each] * (count + 1)) for each in window[:4]))
        others = getattr(rows, key).view(count + 1, count)
        moved = others[1:].diagonal()
        moved.copy_((moved + 7) % (BINS if key == "proprio" else CODES))
        logits = _logits(agent, rows, PANDA)[:, -1, 0]
        away = (logits[1:] - logits[:1]).abs().amax(dim=-1)
        assert (away > 1e-7).all(), (key, away.argmin())


@layouts
@contexts
def test_loss_falls_on_one_batch_of_two_arms(layout: str, context: int) -> None:
    """Windows of arms with different numbers of tokens are learnt side by side."""
    agent = agent_of(context=context, **CASES[layout]).train()
    batch = [(body, window_of(body, context)) for body in (PANDA, UR5E)]
    optimiser = torch.optim.AdamW(agent.parameters(), 3e-3)
    totals: list[float] = []
    for _ in range(12):
        losses = [losses_of(agent, window, body) for body, window in batch]
        total = sum((each.total for each in losses), torch.zeros(()))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.95 * totals[0]
    assert totals[-1] < min(totals[:6])


@pytest.mark.parametrize("modulate", [True, False])
@pytest.mark.parametrize("future_weight", [0.1, 0.0])
@layouts
@contexts
def test_every_weight_has_a_gradient(layout: str, context: int, modulate: bool, future_weight: float) -> None:
    """But for what predicts the future if nobody asks for it; modulation that is off has no weights."""
    options = {**CASES[layout], "modulate": modulate, "future_weight": future_weight}
    agent = agent_of(context=context, **options).train()
    losses_of(agent, window_of(PANDA, context), PANDA).total.backward()
    idle = {name for name, weight in agent.named_parameters() if weight.grad is None or not weight.grad.any()}
    declared = {name for name, _ in agent.named_parameters() if name.startswith("future.")}
    declared = declared if future_weight == 0.0 else set[str]()
    if agent.config.at_once and context == 1:  # no number is ever seen by a later one
        declared |= {"action.slot", "action.weight"}
    assert idle == declared
    films = [name for name, _ in agent.named_parameters() if name.startswith("stem.film.")]
    assert bool(films) == (modulate and bool(agent.config.image_tokens))


@torch.inference_mode()
def test_arms_share_slots_but_not_slots_they_lack() -> None:
    """The same numbers mean the same wherever they stand: they are known by their slots, not their places."""
    agent = agent_of()
    window = window_of(PANDA, 1)
    body = Embodiment(tuple(reversed(PANDA.proprio)), PANDA.action)
    turned = window._replace(proprio=window.proprio.flip(-1))
    torch.testing.assert_close(_logits(agent, window, PANDA), _logits(agent, turned, body))
    assert not torch.allclose(_logits(agent, window, PANDA), _logits(agent, window, body))


@torch.inference_mode()
def test_soft_targets() -> None:
    """One-hot without spread, nearly so with a tiny one; weights sum to one, at the ends too."""
    logits, target = torch.randn(4, BINS), torch.tensor([0, 5, 500, BINS - 1])
    one_hot = F.cross_entropy(logits, target)
    torch.testing.assert_close(soft_cross_entropy(logits, target, 0.0), one_hot)
    torch.testing.assert_close(soft_cross_entropy(logits, target, 0.05), one_hot)
    for spread in (0.0, 0.5, 8.0, 100.0):
        even = soft_cross_entropy(torch.zeros(4, BINS), target, spread)
        assert float(even) == pytest.approx(math.log(BINS), abs=1e-3)


def test_soft_targets_are_best_met_by_themselves() -> None:
    """The gradient vanishes at the discretised normal around the target."""
    target = torch.tensor([300])
    place = torch.arange(BINS)
    logits = (-0.5 * ((place - target[:, None]) / 8.0) ** 2).requires_grad_()
    soft_cross_entropy(logits, target, 8.0).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


@torch.inference_mode()
def test_waves_make_neighbouring_bins_alike() -> None:
    outputs = torch.randn(5, 16)
    for waves, smooth in ((8, True), (0, False)):
        logits = BinHead(16, waves)(outputs)
        assert logits.shape == (5, BINS)
        step = (logits[:, 1:] - logits[:, :-1]).abs().max() / (logits.max() - logits.min())
        assert (step < 0.02) == smooth


@torch.inference_mode()
def test_what_is_chosen() -> None:
    logits = torch.full((3, BINS), -50.0)
    logits[0, 17] = 0.0
    logits[1, [100, 300]] = 0.0
    logits[2] = 0.0
    assert expectation(logits).tolist() == [17, 200, 512]
    assert likeliest(logits)[:2].tolist() == [17, 100]


def test_future_cells_are_drawn_in_training_only() -> None:
    agent, window = agent_of(future_cells=2), window_of(PANDA, 1)
    with torch.inference_mode():
        assert torch.equal(losses_of(agent, window, PANDA).future, losses_of(agent, window, PANDA).future)
        every = losses_of(agent_of(future_cells=0), window, PANDA).future
        torch.testing.assert_close(losses_of(agent, window, PANDA).future, every)
        agent.train()
        drawn = {float(losses_of(agent, window, PANDA).future) for _ in range(8)}
    assert len(drawn) > 1


@torch.inference_mode()
def test_total_is_the_weighted_sum() -> None:
    window = window_of(PANDA, 1)
    agent = agent_of(future_weight=0.25, goal_weight=0.5, progress_weight=2.0)
    losses = losses_of(agent, window, PANDA)
    assert min(losses[:-1]) > 0.0 and float(losses.trunk) == 0.0
    weighted = losses.action + 0.25 * losses.future + 0.5 * losses.goal + 2.0 * losses.progress
    torch.testing.assert_close(losses.total, weighted)
    without = losses_of(agent, window._replace(future=None, meaning=None, progress=None), PANDA)
    assert float(without.future) == float(without.goal) == float(without.progress) == 0.0
    torch.testing.assert_close(without.total, losses.action)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
@torch.inference_mode()
def test_total_is_the_mean_over_tokens(weight: float) -> None:
    """Two images of 16 codes, and five numbers or three times as many: what is asked for counts alike."""
    faithful = CASES["faithful"] | {"future_weight": weight}
    agent, planning = agent_of(**faithful), agent_of(**faithful | {"chunk": 3})
    own = losses_of(agent, window_of(PANDA, 1), PANDA)
    codes = 32 * weight
    torch.testing.assert_close(own.total, (5 * own.action + codes * own.future) / (5 + codes))
    longer = losses_of(planning, window_of(PANDA, 1), PANDA)
    torch.testing.assert_close(longer.total, (15 * longer.action + codes * longer.future) / (15 + codes))
    without = losses_of(agent, window_of(PANDA, 1, future=False), PANDA)
    torch.testing.assert_close(without.total, without.action)
    parts = [(PANDA, window_of(PANDA, 1, batch=1)), (UR5E, window_of(UR5E, 1, batch=3))]
    one, other = (losses(agent, [part]).total for part in parts)
    torch.testing.assert_close(losses(agent, parts).total, (one + 3 * other) / 4)


@torch.inference_mode()
def test_the_mean_over_tokens_is_that_of_every_single_one() -> None:
    """Each window's cross-entropies, written down by hand."""
    agent, window = agent_of(**CASES["faithful"] | {"context": 2}), window_of(PANDA, 2)
    layout = agent.layout(PANDA, 2)
    outputs = agent.trunk(agent.embed(window, PANDA).tokens)
    assert window.future is not None and agent.future is not None
    numbers = agent.bins(outputs[:, layout.action_outputs.ravel()]).log_softmax(dim=-1)
    codes = agent.future.read(outputs[:, layout.image_positions.ravel()]).log_softmax(dim=-1)
    found = [numbers.flatten(0, 1)[range(BATCH * 2 * 5), window.action.flatten()]]
    found.append(codes.flatten(0, 1)[range(BATCH * 2 * 32), window.future.flatten()])
    torch.testing.assert_close(losses_of(agent, window, PANDA).total, -torch.cat(found).mean())


@contexts
@torch.inference_mode()
def test_actions_that_are_not_learnt_do_not_count(context: int) -> None:
    """Neither in the mean nor in its number; what is seen beside them counts as ever."""
    agent, window = agent_of(context=context), window_of(PANDA, context)
    first = weigh(torch.tensor([1, 0, 0])[:, None].expand(-1, context), None)
    losses = losses_of(agent, window._replace(learnt=first), PANDA)
    alone = losses_of(agent, Window(*(None if part is None else part[:1] for part in window)), PANDA)
    torch.testing.assert_close(losses.action, alone.action)
    every = losses_of(agent, window._replace(learnt=None), PANDA)
    assert (losses.progress, losses.future, losses.goal) == (every.progress, every.future, every.goal)
    torch.testing.assert_close(every.action, losses_of(agent, window, PANDA).action)


def test_progress_is_learnt_where_no_action_is() -> None:
    """A batch of failures has a gradient, none of it at what reads actions."""
    agent, window = agent_of().train(), window_of(PANDA, 1)
    losses = losses_of(agent, window._replace(learnt=weigh(torch.zeros(BATCH, 1), None)), PANDA)
    losses.total.backward()
    assert float(losses.action.detach()) == 0.0 and float(losses.progress.detach()) > 0.0
    assert agent.progress is not None
    assert all(bool(weight.grad.any()) for weight in agent.progress.parameters() if weight.grad is not None)
    assert not any(bool(w.grad.any()) for w in agent.bins.parameters() if w.grad is not None)


@torch.inference_mode()
def test_progress_that_nobody_tells_does_not_count() -> None:
    agent, window = agent_of(), window_of(PANDA, 1)
    assert window.progress is not None
    some = window.progress.clone()
    some[1:] = -1
    alone = losses_of(agent, Window(*(None if part is None else part[:1] for part in window)), PANDA)
    losses = losses_of(agent, window._replace(progress=some), PANDA)
    torch.testing.assert_close(losses.progress, alone.progress / BATCH)
    assert float(losses_of(agent, window._replace(progress=some * 0 - 1), PANDA).progress) == 0.0


@torch.inference_mode()
def test_progress_is_told_before_anything_is_done() -> None:
    """It hangs on what has been seen, not on the action of its step."""
    agent, window = agent_of(context=2), window_of(PANDA, 2)
    other = window.action.clone()
    other[:, -1] = (other[:, -1] + BINS // 2) % BINS
    told = losses_of(agent, window, PANDA).progress
    assert losses_of(agent, window._replace(action=other), PANDA).progress == told
    other[:, 0] = (other[:, 0] + BINS // 2) % BINS  # an earlier one has been seen
    assert losses_of(agent, window._replace(action=other), PANDA).progress != told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 0}, "agent: width: got 0, expected at least 1"),
        ({"context": 0}, "agent: context: got 0"),
        ({"image_tokens": -1}, "agent: image_tokens: got -1, expected at least 0"),
        ({"image_tokens": 0}, "agent: goal_weight: got 0.1, expected 0 where image_tokens is 0"),
        ({"drop": 1.0}, "agent: drop: got 1.0"),
        ({"chunk": 2, "execute": 3}, "agent: execute: got 3, expected at most chunk, 2"),
        ({"chunk": 2, "context": 2}, "agent: chunk: got 2 with a context of 2, expected 1, or at_once"),
        ({"experts": 2, "experts_used": 3}, "agent: experts_used: got 3, expected at most 2"),
        ({"tape_bank": "own"}, "agent: tape_bank: got 'own', expected one of 'learnt', 'input'"),
        ({"goal_at": "end"}, "agent: goal_at: got 'end', expected one of 'step', 'prefix'"),
    ],
)
def test_impossible_shapes_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(NANO.agent, **options)
