"""What a refusal advises runs on the network: attention methods on families whose attention is of every kind."""

from __future__ import annotations

import re

import numpy as np
import pytest

import shisen
from shisen.errors import ModelError

METHODS = ("legrad", "attention_x_gradient", "attention_rollout", "chefer", "guided_backprop")
FAMILIES = {
    "davit_tiny": 96, "halonet26t": 256, "mobilevit_xxs": 96, "edgenext_xx_small": 96,
    "swin_tiny_patch4_window7_224": 224, "cait_xxs24_224": 224, "xcit_nano_12_p16_224": 96, "pvt_v2_b0": 96,
    "crossvit_tiny_240": 240, "mobilevitv2_050": 96,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The values of integrated_gradients")
@pytest.mark.filterwarnings("ignore:The guided rule met")
@pytest.mark.parametrize("name", FAMILIES)
def test_every_method_that_is_advised_runs(name: str) -> None:
    side = FAMILIES[name]
    model = shisen.load(f"timm:{name}@random")
    model = model.with_preprocess(model.preprocess.with_size((side, side)))
    x = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
    quick = {"occlusion": {"window": side // 2}, "rise": {"n_samples": 4}, "integrated_gradients": {"n_steps": 2}}
    refused = dict[str, str]()
    for method in METHODS:
        try:
            assert np.isfinite(shisen.explain(model, x, method, target=1).values).all()
        except ModelError as error:
            refused[method] = str(error)
    for method, message in refused.items():
        found = re.search(r"Use one of (.*); they run on this network", message)
        assert found is not None, message
        names = found[1].split(", ")
        assert method not in names
        assert len(names) >= 3
        for other in names:
            values = shisen.explain(model, x, other, target=1, **quick.get(other, {})).values
            assert np.isfinite(values).all(), other
