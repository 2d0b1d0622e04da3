"""A network that cuts its graph is told apart from one without evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nets
import shisen
from shisen.errors import ModelError


class Cut(nets.Toy):
    def forward(self, x: Any) -> Any:
        x = self.down(self.act1(self.norm(self.conv1(x)))).detach()
        return self.fc(self.pool(self.act2(self.conv2(x))).flatten(1))


@pytest.mark.parametrize(("method", "layer"), [("gradient", None), ("grad_cam", "conv1")])
def test_the_score_does_not_depend_on_what_lies_before_the_cut(method: str, layer: str | None) -> None:
    model = shisen.wrap(Cut())
    with pytest.raises(ModelError, match=r"does not depend on .* detach\(\)"):
        shisen.explain(model, nets.images(1)[0], method, target=1, layer=layer)


def test_after_the_cut_everything_is_as_ever() -> None:
    x = nets.images(1)[0]
    found, want = (
        shisen.explain(shisen.wrap(net), x, "grad_cam", target=1, layer="act2").values for net in (Cut(), nets.Toy())
    )
    np.testing.assert_allclose(found, want, rtol=1e-5)
