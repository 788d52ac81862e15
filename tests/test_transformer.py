"""The transformer: causal, the same with and without its cache, deterministic when it acts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo import reset
from torch.fx import GraphModule

from robocat.transformer import LEAP, Transformer

WIDTH, LENGTH, BATCH = 16, 12, 3


def _network(drop: float = 0.0) -> Transformer:
    torch.manual_seed(1)
    return Transformer(WIDTH, blocks=3, heads=4, drop=drop).eval()


def _tokens(batch: int = BATCH) -> Tensor:
    return torch.randn(batch, LENGTH, WIDTH)


def _close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def _fixed() -> Transformer:
    """One whose cache has fixed shapes, as where steps are captured, but nothing is compiled."""
    network = _network()
    network._step = network.forward  # pyright: ignore[reportPrivateUsage]
    return network


def _decoded(network: Transformer, tokens: Tensor, first: int) -> Tensor:
    """Outputs of a pass over the first tokens, and then of one token after the other."""
    cache = network.cache(len(tokens), tokens.shape[1])
    parts = [network(tokens[:, :first], cache)]
    parts += [network.step(tokens[:, i], cache)[:, None] for i in range(first, tokens.shape[1])]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("make", [_network, _fixed], ids=["views", "fixed"])
@pytest.mark.parametrize("cuts", [[1] * LENGTH, [5, 1, 1, 5], [2, 3, 7], [LENGTH], [1, 10, 1]], ids=str)
@torch.inference_mode()
def test_cached_equals_uncached(make: Callable[[], Transformer], cuts: list[int]) -> None:
    network, tokens = make(), _tokens()
    cache = network.cache(BATCH, LENGTH)
    parts: list[Tensor] = []
    for part in tokens.split(cuts, dim=1):
        assert int(cache.at) == sum(each.shape[1] for each in parts)
        parts.append(network(part, cache))
    _close(torch.cat(parts, dim=1), network(tokens))


@torch.inference_mode()
def test_a_cache_that_is_kept_forgets_and_grows() -> None:
    """What earlier decisions left in it is hidden, also beyond their windows; a larger one replaces it."""
    network = _fixed()
    for batch, length in ((3, 9), (1, 12), (4, 5), (2, LEAP + 3), (5, 7), (1, 1)):
        tokens = torch.randn(batch, length, WIDTH)
        before = network._kept  # pyright: ignore[reportPrivateUsage]
        _close(_decoded(network, tokens, max(1, length - 4)), network(tokens))
        kept = network.cache(batch, length)
        assert kept.windows >= batch and kept.length >= length
        fits = before is not None and before.windows >= batch and before.length >= length
        assert (kept is before) == fits
    assert (kept.windows, kept.length) == (8, 2 * LEAP)


class _Graphs:
    """Compiles nothing, and keeps what was to be compiled."""

    def __init__(self) -> None:
        self.made: list[GraphModule] = []

    def __call__(self, graph: GraphModule, inputs: list[Tensor], **options: object) -> Callable[..., object]:
        del inputs, options
        self.made.append(graph)
        return graph.forward


@torch.inference_mode()
def test_a_step_is_one_graph_whatever_the_place() -> None:
    """Compiled once for each size that the cache has had, whole, and nothing is compiled in its turn."""
    reset()
    network, plain, graphs = _network(), _network(), _Graphs()
    network.capture(graphs)
    for batch, length, first, compiled in ((3, 12, 5, 1), (4, 9, 3, 1), (1, 12, 1, 1), (6, 12, 5, 2)):
        tokens = torch.randn(batch, length, WIDTH)
        _close(_decoded(network, tokens, first), plain(tokens))
        assert len(graphs.made) == compiled


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler has them of itself
@torch.inference_mode()
def test_compiled_steps() -> None:
    reset()
    network, tokens = _network(), _tokens()
    network.capture()
    _close(_decoded(network, tokens, 4), network(tokens))
    _close(_decoded(network, tokens[:1], 1), network(tokens[:1]))


@pytest.mark.parametrize("changed", range(LENGTH))
@torch.inference_mode()
def test_no_output_sees_a_later_token(changed: int) -> None:
    network, tokens = _network(), _tokens()
    other = tokens.clone()
    other[:, changed] += torch.randn(WIDTH)
    before, after = network(tokens), network(other)
    assert torch.equal(before[:, :changed], after[:, :changed])
    # Every later output does see it.
    moved = (before - after).abs().amax(dim=2)[:, changed:]
    assert (moved > 1e-6).all()


@torch.inference_mode()
def test_windows_do_not_mix() -> None:
    network, tokens = _network(), _tokens()
    together = network(tokens)
    for i in range(BATCH):
        _close(network(tokens[i : i + 1]), together[i : i + 1])


@torch.inference_mode()
def test_equal_seeds_make_equal_networks() -> None:
    tokens = _tokens()
    assert torch.equal(_network()(tokens), _network()(tokens))


def test_stochastic_depth_is_for_training_only() -> None:
    network, tokens = _network(drop=0.5), _tokens()
    with torch.inference_mode():
        assert torch.equal(network(tokens), network(tokens))
        assert torch.equal(network(tokens), _network(drop=0.0)(tokens))
        network.train()
        assert not torch.equal(network(tokens), network(tokens))
        torch.manual_seed(7)
        first = network(tokens)
        torch.manual_seed(7)
        assert torch.equal(network(tokens), first)


def test_deeper_blocks_are_dropped_more_often() -> None:
    assert [block.drop for block in _network(drop=0.6).blocks] == pytest.approx([0.2, 0.4, 0.6])


def test_dropping_keeps_the_mean() -> None:
    """A kept branch is scaled up by as much as is lost to dropping."""
    block = _network(drop=0.9).blocks[-1].train()
    ones = torch.ones(20_000, 1, 1)
    kept = block._kept(ones)  # pyright: ignore
    assert kept.unique().tolist() == pytest.approx([0.0, 10.0])
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.1)


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width 30 is not a multiple of heads 4"):
        Transformer(30, blocks=1, heads=4)
