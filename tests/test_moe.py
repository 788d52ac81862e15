"""A mixture of experts: weights that sum to one, one expert is the dense layer, and all are learnt."""

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import reset

from robocat.moe import MixtureOfExperts, imbalance
from robocat.transformer import Transformer, feed_forward

WIDTH, TOKENS = 12, 40


def _mixture(experts: int = 5, used: int = 2) -> MixtureOfExperts:
    torch.manual_seed(4)
    mixture = MixtureOfExperts(WIDTH, experts, used, feed_forward)
    nn.init.normal_(mixture.router.weight, std=1.0)
    return mixture


@pytest.mark.parametrize(("experts", "used"), [(1, 1), (5, 1), (5, 2), (5, 5)])
@torch.inference_mode()
def test_routing(experts: int, used: int) -> None:
    """Weights sum to one; the experts are different ones and the likest of all."""
    mixture, x = _mixture(experts, used), torch.randn(TOKENS, WIDTH)
    routing = mixture.route(x)
    assert routing.experts.shape == routing.weights.shape == (TOKENS, used)
    torch.testing.assert_close(routing.weights.sum(dim=1), torch.ones(TOKENS))
    assert (routing.weights > 0).all()
    for token, chosen in enumerate(routing.experts.tolist()):
        assert len(set(chosen)) == used
        likest = mixture.router(x[token]).argsort(descending=True)[:used].tolist()
        assert sorted(chosen) == sorted(likest)


@torch.inference_mode()
def test_one_expert_is_the_dense_layer() -> None:
    mixture, x = _mixture(1, 1), torch.randn(2, TOKENS, WIDTH)
    torch.testing.assert_close(mixture(x), mixture.experts[0](x))
    assert float(mixture.imbalance) == pytest.approx(1.0)


@pytest.mark.parametrize("used", [1, 2, 3])
@torch.inference_mode()
def test_each_token_gets_its_experts_mean(used: int) -> None:
    """Dropless: also where all tokens go to one expert, every token gets what its experts say."""
    mixture = _mixture(3, used)
    for x in (torch.randn(TOKENS, WIDTH), torch.randn(1, WIDTH).expand(TOKENS, -1)):
        routing = mixture.route(x)
        meant = torch.stack(
            [
                sum(w * mixture.experts[int(e)](token) for e, w in zip(experts, weights, strict=True))
                for token, experts, weights in zip(x, routing.experts, routing.weights, strict=True)
            ]  # pyright: ignore[reportArgumentType]
        )
        torch.testing.assert_close(mixture(x), meant, rtol=1e-5, atol=1e-5)


def _one_by_one(mixture: MixtureOfExperts, x_ND: Tensor) -> Tensor:
    """Each expert in turn picks its tokens: the plain way."""
    routing, y_ND = mixture.route(x_ND), torch.zeros_like(x_ND)
    for index, expert in enumerate(mixture.experts):
        token, rank = (routing.experts == index).nonzero(as_tuple=True)
        y_ND = y_ND.index_add(0, token, expert(x_ND[token]) * routing.weights[token, rank, None])
    return y_ND


@pytest.mark.parametrize("tokens", [1, 2, TOKENS])
@pytest.mark.parametrize("way", ["_in_turn", "_by_all"])
def test_both_ways_are_the_plain_one(way: str, tokens: int) -> None:
    """Answers and all gradients, to the last bits of a sum; of sorted tokens the answers exactly."""
    mixture, x_ND, found = _mixture(4, 2), torch.randn(tokens, WIDTH), list[tuple[Tensor, ...]]()
    for each in (_one_by_one, lambda mixture, x: getattr(mixture, way)(x, mixture.route(x))):
        seen = x_ND.clone().requires_grad_()
        y_ND = each(mixture, seen)
        wanted = [seen, *mixture.parameters()]
        gradients = torch.autograd.grad(
            y_ND.square().sum(), wanted, allow_unused=True, materialize_grads=True
        )
        found.append((y_ND.detach(), *gradients))
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-6)
    assert way == "_by_all" or torch.equal(found[0][0], found[1][0])


@torch.inference_mode()
def test_the_load_is_how_many_tokens_an_expert_gets() -> None:
    routing = _mixture(5, 2).route(torch.randn(TOKENS, WIDTH))
    assert torch.equal(routing.load, torch.bincount(routing.experts.flatten(), minlength=5))


@torch.inference_mode()
def test_few_tokens_are_compiled_whole() -> None:
    """A step of a few arms is one graph: nothing in it waits for how the tokens fall."""
    reset()
    mixture, x_ND = _mixture(), torch.randn(3, WIDTH)
    compiled = torch.compile(mixture, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x_ND), mixture(x_ND))


def test_gradient_reaches_every_used_expert_and_no_other() -> None:
    mixture, x = _mixture(5, 2), torch.randn(TOKENS, WIDTH)
    used = set(mixture.route(x).experts.unique().tolist())
    mixture(x[:2]).square().sum().backward()
    few = set(mixture.route(x[:2]).experts.unique().tolist())
    assert few < used == set(range(5))
    for index, expert in enumerate(mixture.experts):
        moved = [weight.grad is not None and bool(weight.grad.any()) for weight in expert.parameters()]
        assert all(moved) if index in few else not any(moved)
    assert mixture.router.weight.grad is not None and mixture.router.weight.grad.any()


def test_imbalance() -> None:
    """1 where all experts have the same, the number of experts where one has everything; and it evens out."""
    mixture = MixtureOfExperts(WIDTH, 4, 1, feed_forward)
    x = torch.randn(TOKENS, WIDTH)
    with torch.no_grad():
        mixture.router.weight.zero_()
        mixture.router.weight[2] = 1000.0 * x.mean(dim=0).sign()
        x = x.abs() * x.mean(dim=0).sign()
    assert float(mixture.route(x).imbalance.detach()) == pytest.approx(4.0, abs=0.01)
    mixture, x = _mixture(4, 1), torch.randn(400, WIDTH)
    optimiser = torch.optim.Adam(mixture.router.parameters(), 0.02)
    before = float(mixture.route(x).imbalance.detach())
    for _ in range(200):
        optimiser.zero_grad()
        mixture.route(x).imbalance.backward()
        optimiser.step()
    after = mixture.route(x)
    assert 0.95 < float(after.imbalance.detach()) < min(before, 1.05)


def test_networks_say_their_imbalance() -> None:
    def make(width: int) -> nn.Module:
        return MixtureOfExperts(width, 3, 2, feed_forward)

    trunk = Transformer(WIDTH, blocks=2, heads=2, feed=make)
    trunk(torch.randn(2, 5, WIDTH))
    found = imbalance(trunk)
    assert found is not None and found.shape == () and found.requires_grad
    assert imbalance(Transformer(WIDTH, blocks=2, heads=2)) is None
    # Each expert's last layer starts as small as the dense one's.
    for module in trunk.modules():
        if isinstance(module, nn.Linear) and module.in_features == 4 * WIDTH:
            assert float(module.weight.detach().std()) == pytest.approx(0.5 / (2 * 2 * WIDTH) ** 0.5, rel=0.2)
