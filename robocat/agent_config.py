"""The shape of an agent: what can be chosen about it, and which choices do not go together."""

from dataclasses import dataclass, replace
from math import isqrt
from typing import ClassVar, Literal, get_args

from robocat.adatape import Bank
from robocat.bins import Chosen, Values
from robocat.sequence import Goal, Layout
from robocat.stem import CodeVectors
from robocat.vocabulary import Embodiment

MeanOver = Literal["tokens", "kinds"]


@dataclass(frozen=True)
class AgentConfig:
    """Shape of the agent, and what it is asked to predict. The defaults are RoboCat's, but for the sizes.

    What differs from it is an option with a name; those that `nano` has stand in `robocat.presets`.

    Attributes:
        width: Numbers that a token is made of.
        blocks: Transformer blocks.
        heads: Attention heads.
        context: Control steps in a window; at most, where `context_tokens` says otherwise.
        context_tokens: Tokens in a window at most: each arm has as many whole steps as fit, see `steps`;
            RoboCat: 1,024, which hold three steps of two cameras. 0 sets no such bound.
        goal_at: "step" repeats the goal at each step as RoboCat does; "prefix" gives it once.
        image_tokens: Tokens an image, merged of its codes; 0 is RoboCat's layout, a token for each code and
            each joint.
        patch_width: Channels of the merging stem; unused when image_tokens is 0.
        patch: Height and width [px] of the patches that a token is made of, see `robocat.patches`, where the
            tokeniser gives pixels; 0 where it gives codes.
        code_vectors: What codes look like to the agent: learnt from nothing ("random"), or the codebook's
            vectors, as a start ("started") or as they are ("fixed"), see `robocat.stem.code_embedding`.
        values: How numbers look to the agent: a learnt vector for each bin ("table"), as Gato has it, or
            sines of them with a matrix for each slot ("waves"), so that near ones look alike from the start.
        modulate: Whether the goal modulates the patches before they are merged, where they are.
        cameras: Images a step.
        drop: Chance that a window skips the last block in training; of those before in proportion to their
            place (stochastic depth). RoboCat has it; 0.1 is the dropout of its fine-tuning.
        target_bins: Standard deviation, in bins, of the soft target around an action's bin; 0, RoboCat's, is
            one-hot. Bins are ordered, and a neighbour of the right one is nearly right.
        bin_waves: Cosines that an action's logits are made of, so that neighbouring bins get neighbouring
            logits; 0 gives every bin a weight vector of its own, as RoboCat has it.
        choose: Which bin of its distribution an action number takes: the likeliest ("likeliest"), or that
            nearest to the mean ("mean"), which is steadier. The paper does not say.
        mean_over: What the loss of a window is a mean over: "tokens", all that it predicts, as RoboCat sums
            them, of which images have 9 to 26 times as many as actions, by arm; or "kinds", actions and
            images each by themselves. JAT (Gallouédec et al. 2024) found losses of observations to harm where
            they weigh half as much as actions, with squared errors, and not at a two-hundredth.
        future_steps: How many steps ahead image codes are predicted; RoboCat: 5.
        future_weight: Weight of that loss; 0 leaves it out.
        future_cells: How many cells of an image are scored, drawn at random once for all windows that are
            computed together; 0 scores all.
        goal_weight: Weight of the loss that makes goals of one meaning alike, see `robocat.contrast`; 0, as
            RoboCat has it, leaves it out.
        progress_weight: Weight of the loss of telling how far along the task is, which failures teach as
            well as successes do; 0, as RoboCat has it, leaves it out.
        tape: Tape tokens a window at most, see `robocat.adatape`; 0 has none.
        tape_bank: What they are read from: "learnt", or "input", which is every code that is seen.
        tape_weight: Weight of the loss that makes tapes short and picks sure.
        experts: Feed-forward layers a block of which a token passes `experts_used`, see `robocat.moe`; 0 has
            one layer for all.
        experts_used: How many of them.
        balance_weight: Weight of the loss that loads them evenly.
        chunk: Control steps whose actions are predicted at a time.
        execute: How many of them are executed before the agent is asked again.
        at_once: Whether all numbers are decoded at once, see `robocat.at_once`, or one after another.
    """

    # Options that came after the first checkpoints, and what those have that say nothing of them.
    BEFORE: ClassVar[dict[str, object]] = {
        "context_tokens": 0,
        "code_vectors": "started",
        "values": "waves",
        "choose": "mean",
        "mean_over": "kinds",
        "patch": 0,
        "tape": 0,
        "tape_bank": "learnt",
        "tape_weight": 0.01,
        "experts": 0,
        "experts_used": 2,
        "balance_weight": 0.01,
        "chunk": 1,
        "execute": 1,
        "at_once": False,
    }

    width: int = 128
    blocks: int = 2
    heads: int = 4
    context: int = 8
    context_tokens: int = 1024
    goal_at: Goal = "step"
    image_tokens: int = 0
    patch_width: int = 64
    patch: int = 0
    code_vectors: CodeVectors = "random"
    values: Values = "table"
    modulate: bool = False
    cameras: int = 2
    drop: float = 0.1
    target_bins: float = 0.0
    bin_waves: int = 0
    choose: Chosen = "likeliest"
    mean_over: MeanOver = "tokens"
    future_steps: int = 5
    future_weight: float = 1.0
    future_cells: int = 0
    goal_weight: float = 0.0
    progress_weight: float = 0.0
    tape: int = 0
    tape_bank: Bank = "learnt"
    tape_weight: float = 0.01
    experts: int = 0
    experts_used: int = 2
    balance_weight: float = 0.01
    chunk: int = 1
    execute: int = 1
    at_once: bool = False

    def __post_init__(self) -> None:
        some = "width", "blocks", "heads", "context", "cameras", "future_steps"
        least: dict[str, int] = dict.fromkeys((*some, "experts_used", "chunk", "execute"), 1)
        weights = "future_weight", "goal_weight", "progress_weight", "tape_weight", "balance_weight"
        sizes = "context_tokens", "image_tokens", "patch", "target_bins", "bin_waves", "future_cells"
        least |= dict.fromkeys((*sizes, *weights, "tape", "experts"), 0)
        least["patch_width"] = 1 if self.image_tokens else 0
        for name, smallest in least.items():
            if (value := getattr(self, name)) < smallest:
                raise ValueError(f"agent: {name}: got {value}, expected at least {smallest}")
        if not 0 <= self.drop < 1:
            raise ValueError(f"agent: drop: got {self.drop}, expected at least 0 and below 1")
        if self.goal_weight and not self.image_tokens:
            raise ValueError(
                f"agent: goal_weight: got {self.goal_weight}, expected 0 where image_tokens is 0: there no "
                "one vector stands for a goal"
            )
        if self.patch and (self.image_tokens or self.future_weight or self.tape_bank == "input"):
            raise ValueError(
                f"agent: patch: got {self.patch} with image_tokens {self.image_tokens}, future_weight "
                f"{self.future_weight} and tape_bank {self.tape_bank!r}, expected 0, 0 and 'learnt': pixels "
                "are no codes that could be merged, predicted or read from"
            )
        if self.execute > self.chunk:
            raise ValueError(f"agent: execute: got {self.execute}, expected at most chunk, {self.chunk}")
        if self.chunk > 1 and self.context > 1 and not self.at_once:
            raise ValueError(
                f"agent: chunk: got {self.chunk} with a context of {self.context}, expected 1, or at_once: "
                "numbers of plans that were not carried out would stand in the window"
            )
        if self.experts and self.experts_used > self.experts:
            raise ValueError(f"agent: experts_used: got {self.experts_used}, expected at most {self.experts}")
        choices = {"tape_bank": Bank, "code_vectors": CodeVectors, "values": Values, "goal_at": Goal}
        choices |= {"choose": Chosen, "mean_over": MeanOver}
        for name, kind in choices.items():
            if (value := getattr(self, name)) not in get_args(kind):
                offered = ", ".join(map(repr, get_args(kind)))
                raise ValueError(f"agent: {name}: got {value!r}, expected one of {offered}")

    def layout(self, body: Embodiment, codes: int, context: int | None = None) -> Layout:
        """The order of tokens in a window of an arm.

        Args:
            body: The arm's slots.
            codes: Codes an image, or numbers of its pixels where `patch` is above 0.
            context: Control steps in the window; as many as it has in training if None.

        Raises:
            ValueError: If not one control step fits into `context_tokens`.
        """
        merged = self.image_tokens > 0
        if self.patch:
            codes = (isqrt(codes // 3) // self.patch) ** 2
        one = Layout(
            proprio=1 if merged else len(body.proprio),
            images=self.cameras * (self.image_tokens if merged else codes),
            goal=self.cameras * (1 if merged else codes),
            actions=len(body.action) * (1 if self.at_once else self.chunk),
            context=1,
            goal_at=self.goal_at,
            tape=self.tape,
            asks=len(body.action) * self.chunk if self.at_once else 0,
        )
        return replace(one, context=context or self._steps(one))

    def steps(self, body: Embodiment, codes: int) -> int:
        """Control steps in a training window of an arm; raises as `layout`."""
        return self.layout(body, codes).context

    def _steps(self, one: Layout) -> int:
        if not self.context_tokens:
            return self.context
        if not (fit := one.steps_in(self.context_tokens)):
            raise ValueError(
                f"agent: context_tokens: got {self.context_tokens}, expected at least {one.length}, what "
                "one control step takes"
            )
        return min(self.context, fit)
