"""A bundle that is clean, to which each test adds what is not."""

import json

import pytest

CLEAN = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "files": "$sorted(glob.glob(os.path.join(@bundle_root, '*.png')))",
    "network": {"_target_": "UNet", "spatial_dims": 2, "channels": [4, 8], "strides": [2]},
    "net": "$@network.to(@device)",
    "pre": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image", "reader": "PILReader"}]},
    "data": "$[{'image': name} for name in @files]",
    "optimizer": {"_target_": "torch.optim.Adam", "params": "$@net.parameters()", "lr": 0.001},
    "handlers": [{"_target_": "StatsHandler", "output_transform": "$lambda x: x[0]['loss'] if x else None"}],
    "run": ["$@trainer.run()"],
}


@pytest.fixture
def bundle(tmp_path):
    """`bundle(**more)` writes the clean configuration with further or other entries, and gives its folder."""

    def make(**more):
        folder = tmp_path / "bundle"
        (folder / "configs").mkdir(parents=True, exist_ok=True)
        (folder / "configs" / "train.json").write_text(json.dumps({**CLEAN, **more}, indent=1))
        return folder

    return make
