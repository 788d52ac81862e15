"""What LeRobot itself makes of a dataset: run by that project's own Python, see `test_lerobot_peer.py`.

    <python> lerobot_peer.py read <dataset> <frames.npz>
    <python> lerobot_peer.py train <dataset>
    <python> lerobot_peer.py write <episodes.npz> <dataset>

`read` writes every frame that `LeRobotDataset` gives, `train` trains its ACT on them for 20 steps and prints
first and last loss as JSON, `write` records a dataset as that project does.
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


def read(root: Path, frames: Path) -> None:
    """Loads and dumps."""
    plain = LeRobotDataset("local/set", root=root, video_backend="pyav")
    rows = [plain[i] for i in range(len(plain))]
    tasks = [row.pop("task") for row in rows]
    # float64 shows whether anything was rounded.
    arrays = {name: torch.stack([row[name] for row in rows]).double().numpy() for name in rows[0]}
    np.savez(frames, task=np.array(tasks), **arrays)


def write(episodes: Path, root: Path) -> None:
    """Records episodes, an array (N, ...) of each name for each: one camera as a video, one as images."""
    with np.load(episodes) as file:
        arrays = dict(file)
    size = arrays["top"].shape[2:]
    named = ["height", "width", "channels"]
    features = {
        "observation.state": {"dtype": "float32", "shape": arrays["state"].shape[2:], "names": None},
        "action": {"dtype": "float32", "shape": arrays["action"].shape[2:], "names": None},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
        "observation.images.top": {"dtype": "video", "shape": size, "names": named},
        "observation.images.wrist": {"dtype": "image", "shape": size, "names": named},
    }
    made = LeRobotDataset.create("local/set", fps=10, features=features, root=root, robot_type="panda")
    for episode in range(len(arrays["action"])):
        for step in range(len(arrays["action"][episode])):
            frame = {name: arrays[name.split(".")[-1]][episode, step] for name in features}
            made.add_frame({**frame, "task": f"task {episode % 2}"})
        made.save_episode()
    made.finalize()


def train(root: Path) -> None:
    """Trains ACT, small and untrained; prints its first and last loss."""
    torch.manual_seed(0)
    fps = LeRobotDataset("local/set", root=root, video_backend="pyav").fps
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
    print(json.dumps([losses[0], losses[-1]]))


if __name__ == "__main__":
    {"read": read, "train": train, "write": write}[sys.argv[1]](*map(Path, sys.argv[2:]))
