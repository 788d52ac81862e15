"""What LeRobot itself makes of a dataset: run by that project's own Python, see `test_lerobot_peer.py`.

    <python> lerobot_peer.py <dataset> <frames.npz>

Writes every frame that `LeRobotDataset` gives, then trains its ACT on them for 20 steps and prints first
and last loss as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets.utils import dataset_to_policy_features
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors

STEPS, CHUNK = 20, 8


def main(root: Path, frames: Path) -> None:
    """Loads, dumps and trains."""
    plain = LeRobotDataset("local/set", root=root, video_backend="pyav")
    rows = [plain[i] for i in range(len(plain))]
    tasks = [row.pop("task") for row in rows]
    # float64 shows whether anything was rounded.
    arrays = {name: torch.stack([row[name] for row in rows]).double().numpy() for name in rows[0]}
    np.savez(frames, task=np.array(tasks), **arrays)
    print(json.dumps(train(root, plain.fps)))


def train(root: Path, fps: int) -> list[float]:
    """First and last loss of ACT, small and untrained."""
    torch.manual_seed(0)
    ahead = {"action": [i / fps for i in range(CHUNK)]}
    chunked = LeRobotDataset("local/set", root=root, video_backend="pyav", delta_timestamps=ahead)
    features = dataset_to_policy_features(chunked.meta.features)
    done = {name: each for name, each in features.items() if each.type is FeatureType.ACTION}
    config = ACTConfig(
        input_features={name: each for name, each in features.items() if name not in done},
        output_features=done,
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=64,
        dim_feedforward=128,
        n_heads=2,
        pretrained_backbone_weights=None,
        device="cpu",
    )
    policy = ACTPolicy(config).train()
    prepare, _ = make_pre_post_processors(config, dataset_stats=chunked.meta.stats)
    optimiser = torch.optim.AdamW(policy.parameters(), 1e-3)
    loader = iter(torch.utils.data.DataLoader(chunked, batch_size=8, shuffle=True, drop_last=True))
    losses: list[float] = []
    for _ in range(STEPS):
        loss, _ = policy.forward(prepare(next(loader)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return [losses[0], losses[-1]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
