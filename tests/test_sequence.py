"""Every small layout, exhaustively and without a network: order, masks and what predicts what."""

from itertools import product

import numpy as np
import pytest

from robocat.sequence import Goal, Kind, Layout

SIZES = list(product((1, 2, 7), (1, 4), (1, 2), (1, 2, 5), (1, 2, 3)))


@pytest.fixture(params=("prefix", "step"))
def layouts(request: pytest.FixtureRequest) -> list[Layout]:
    """Every layout of small numbers with the goal in one place; what fails shows its layout."""
    return [Layout(*sizes, goal_at=request.param) for sizes in SIZES]


def _drawn(layout: Layout) -> list[Kind]:
    """The kinds as the module's docstring draws them, written out once more."""
    goal = [Kind.GOAL] * layout.goal
    seen = [Kind.PROPRIO] * layout.proprio + [Kind.IMAGE] * layout.images
    action = [Kind.ACTION] * layout.actions
    if layout.goal_at == "step":
        return (seen + goal + action) * layout.context
    return goal + (seen + action) * layout.context


def test_order(layouts: list[Layout]) -> None:
    for layout in layouts:
        drawn = _drawn(layout)
        assert layout.kinds.tolist() == drawn
        assert len(layout.kinds) == layout.length == len(drawn)
        # Each step's action tokens are its last ones.
        ends = layout.prefix + layout.step_length * np.arange(1, layout.context + 1) - 1
        assert np.array_equal(ends, layout.action_positions[:, -1])


def test_positions_are_those_of_their_kind(layouts: list[Layout]) -> None:
    for layout in layouts:
        for positions, kind in ((layout.action_positions, Kind.ACTION), (layout.image_positions, Kind.IMAGE)):
            assert np.array_equal(positions.ravel(), np.flatnonzero(layout.kinds == kind))
            steps = (positions - layout.prefix) // layout.step_length
            assert np.array_equal(steps, np.arange(layout.context)[:, None] + 0 * positions)
        assert layout.action_positions.shape == (layout.context, layout.actions)
        assert layout.image_positions.shape == (layout.context, layout.images)


def test_each_scored_output_predicts_one_action_token(layouts: list[Layout]) -> None:
    """The output at position i predicts token i + 1; the scored ones predict every action token once."""
    for layout in layouts:
        scored = np.sort(layout.action_outputs.ravel())
        assert np.array_equal(scored + 1, np.flatnonzero(layout.kinds == Kind.ACTION))
        assert layout.read_length == scored[-1] + 1


def test_prefix_saves_a_goal_for_each_further_step() -> None:
    for sizes in SIZES:
        prefix, repeated = Layout(*sizes, goal_at="prefix"), Layout(*sizes, goal_at="step")
        assert repeated.length - prefix.length == (prefix.context - 1) * prefix.goal


def test_as_many_steps_as_fit(layouts: list[Layout]) -> None:
    """The context that holds a layout holds its steps; one token less holds one step less."""
    for layout in layouts:
        assert layout.steps_in(layout.length) == layout.context
        assert layout.steps_in(layout.length - 1) == layout.context - 1
        assert layout.steps_in(0) == 0


@pytest.mark.parametrize("goal_at", ["prefix", "step"])
def test_options_add_to_the_order(goal_at: Goal) -> None:
    """A tape stands in front of all; asking tokens stand before the numbers, and theirs are the outputs."""
    for sizes in SIZES:
        plain = Layout(*sizes, goal_at=goal_at)
        layout = Layout(*sizes, goal_at=goal_at, tape=2, asks=3)
        kinds = layout.kinds.tolist()
        assert len(kinds) == layout.length == plain.length + 2 + 3 * plain.context
        assert kinds[:2] == [Kind.TAPE] * 2
        assert [kind for kind in kinds if kind not in (Kind.TAPE, Kind.ASK)] == plain.kinds.tolist()
        for positions, kind in (
            (layout.action_positions, Kind.ACTION),
            (layout.image_positions, Kind.IMAGE),
            (layout.action_outputs, Kind.ASK),
        ):
            assert np.array_equal(positions.ravel(), np.flatnonzero(layout.kinds == kind))
        # What asks stands after all that is seen in its step, and before the step's own numbers.
        assert (layout.action_outputs[:, 0] == layout.action_positions[:, 0] - 3).all()
        assert layout.read_length == layout.length - layout.actions
        assert plain.read_length == plain.length - 1


def test_one_by_hand() -> None:
    layout = Layout(proprio=1, images=2, goal=1, actions=2, context=2, goal_at="prefix")
    assert "".join("PIGA"[kind] for kind in layout.kinds) == "GPIIAAPIIAA"
    assert layout.action_positions.tolist() == [[4, 5], [9, 10]]
    assert layout.action_outputs.tolist() == [[3, 4], [8, 9]]
    assert layout.image_positions.tolist() == [[2, 3], [7, 8]]
    assert (layout.prefix, layout.observed, layout.step_length, layout.length) == (1, 3, 5, 11)


@pytest.mark.parametrize("name", ["proprio", "images", "goal", "actions", "context"])
def test_nothing_may_be_empty(name: str) -> None:
    numbers = dict.fromkeys(("proprio", "images", "goal", "actions", "context"), 2) | {name: 0}
    with pytest.raises(ValueError, match=f"at least 1 {name}, got 0"):
        Layout(**numbers, goal_at="step")


def test_unknown_place_of_the_goal() -> None:
    wrong: Goal = "suffix"  # pyright: ignore[reportAssignmentType]
    with pytest.raises(ValueError, match="'suffix' is not offered; expected 'step' or 'prefix'"):
        Layout(1, 1, 1, 1, 1, wrong)
