"""`robocat teleop`: a person at the controls, with the scripted expert or a policy beside them.

robocat teleop panda lift --out runs/mine/stores/teleop
robocat teleop panda lift --policy runs/cycle/models/generalist-1 --control-hz 10
robocat teleop so101 lift --robot my_so101.py --goal pictures --control-hz 10 --policy runs/mine/models/branch

An agent is at home at the rate of its demonstrations, 10 Hz unless `collect` was told otherwise, where
teleoperation has 20; checkpoints do not say which it was, so that nothing here can check it.

What teleoperation is stands in `demos.teleop`, which knows no networks; here it is handed one.
"""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from demos.teleop.server import Options, sit


def teleop(
    arm: Positional[str],
    task: Positional[str],
    *,
    options: Annotated[Options, arg(name="")] = Options(),  # noqa: B008, it is frozen
    policy: Path | None = None,
    tokeniser: Path | None = None,
) -> None:
    """Records demonstrations by a person at a browser; prints the address to open.

    Args:
        arm: Arm, or the .py file that declares one.
        task: Task, or the .py file that declares one.
        options: What else was asked for.
        policy: An agent that may be let act, be taken over and given back the controls; in simulation it is
            the scripted expert if not given. It is shown a goal, of a real arm that of --goal, and should
            act at the rate of its demonstrations: say --control-hz 10 unless they were of 20.
        tokeniser: The agent's tokeniser; that of the run it belongs to if not given.

    Raises:
        CheckpointError: The agent or its tokeniser is absent, they do not belong together, or the agent
            cannot act here.
        ValueError: For anything else that cannot be.
    """
    helper = None
    if policy is not None:
        from robocat.agent_checkpoint import tokeniser_beside
        from robocat.policy import Policy  # With torch, which takes seconds that others need not wait.

        helper = Policy(policy, tokeniser or tokeniser_beside(policy))
    sit(arm, task, options, helper)
