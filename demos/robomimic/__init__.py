"""Stores as robomimic's HDF5 files and back. Needs the extra `robomimic`.

Written from the format's documentation; no code of that project.

    data                    attributes `total` (samples), `env_args` (JSON: env_name, type, env_kwargs)
      demo_<i>              attributes `num_samples` (N), `model_file` (MJCF), `ep_meta` (JSON)
        actions (N, A)      in [-1, 1]
        states (N, S)       the simulator's, before each action
        rewards, dones (N,)
        obs, next_obs       a picture `<camera>_image` (N, H, W, 3) for each camera, numbers under other keys
    mask                    names of demonstrations: `train`, `valid`

What a store's episodes hold besides stands in `robocat`, an attribute and a group of each demonstration.
"""

PROPRIO, IMAGE = "proprio", "_image"
GYM = 2  # robomimic's number for environments of Gymnasium
EXTRA = "robomimic"
