"""Networks whose weights are set by hand, so that what decides is known: and, or, not, count, color.

An image `(16, 16, 3)` holds squares at some cells of a 4 × 4 raster. A network is two convolutions and a rule on the
cells that it looks at; cells that it does not look at cannot matter. A map is right as far as its positive part lies
in the cells that decide: relevance mass, 1 at best, and the fraction of the area for a map that knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

CELLS, CELL = 4, 4
SIDE = CELLS * CELL
Cell = tuple[int, int]


class Rule(nn.Module):
    """Evidence for a square of one color in every cell, then a rule on some cells; class 1 where it holds.

    Args:
        color: weights of red, green and blue of the square that is looked for.
        rule: from the evidence of the cells in `cells`, `(n, len(cells))` in [0, 1], to the logit of class 1.
        cells: which cells the rule looks at.
    """

    def __init__(
        self, color: tuple[float, float, float], rule: Callable[[torch.Tensor], torch.Tensor], cells: tuple[Cell, ...]
    ) -> None:
        super().__init__()
        self.see, self.pool = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 1, CELL, stride=CELL, bias=False)
        self.act, self.rule, self.cells = nn.ReLU(), rule, cells
        weight = torch.tensor(color)
        with torch.no_grad():
            self.see.weight.copy_(torch.stack([weight, weight])[:, :, None, None])
            self.see.bias.copy_(torch.tensor([-0.5, -0.9]))  # two steps: what is above a half, what above nine tenths
            self.pool.weight.copy_(torch.tensor([1.0, 1.0])[None, :, None, None].expand(1, 2, CELL, CELL) / CELL**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits `(n, 2)` of images `(n, 3, 16, 16)`."""
        evidence = self.pool(self.act(self.see(x)))[:, 0] / 0.6
        seen = torch.stack([evidence[:, row, column] for row, column in self.cells], 1)
        score = self.rule(seen)
        return torch.stack([-score, score], 1)


@dataclass(frozen=True)
class Puzzle:
    """One rule with images on which it holds, and the pixels that decide.

    Attributes:
        name: of the rule.
        net: the network.
        images: `(n, 16, 16, 3)` float32 in [0, 1].
        truth: `(n, 16, 16)`, the cells that decide.
    """

    name: str
    net: nn.Module
    images: npt.NDArray[np.float32]
    truth: npt.NDArray[np.bool_]


RED, GREEN = (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0)
PAIR: tuple[Cell, ...] = ((0, 1), (2, 2))
TRIPLE: tuple[Cell, ...] = ((0, 0), (1, 3), (3, 1))

RULES: dict[str, tuple[tuple[float, float, float], Callable[[torch.Tensor], torch.Tensor], tuple[Cell, ...], str]] = {
    "and": (RED, lambda e: 2 * torch.relu(e.sum(1) - 1.5) - 0.2, PAIR, "all"),
    "or": (RED, lambda e: e.amax(1) - 0.5, PAIR, "one"),
    "exclusive or": (RED, lambda e: (e[:, 0] - e[:, 1]).abs() - 0.5, PAIR, "one"),
    "at least two of three": (RED, lambda e: e.sum(1) - 1.5, TRIPLE, "two"),
    "color": (GREEN, lambda e: e.sum(1) - 0.5, ((1, 1),), "all"),
}
"""Color looked for, rule, cells, and how many of the cells hold a square in the images."""


def _square(image: npt.NDArray[np.float32], cell: Cell, color: tuple[float, ...]) -> None:
    row, column = (CELL * v for v in cell)
    image[row : row + CELL, column : column + CELL] = color


def puzzles(count: int = 24, seed: int = 0) -> list[Puzzle]:
    """Return every rule with `count` images of class 1, with squares that distract elsewhere.

    Args:
        count: images a rule.
        seed: random seed of the images.
    """
    found = []
    for name, (color, rule, cells, filled) in RULES.items():
        draw = np.random.default_rng([seed, len(found)])
        mine = (1.0, 0.0, 0.0) if color is RED else (0.0, 1.0, 0.0)
        images = draw.uniform(0.0, 0.12, (count, SIDE, SIDE, 3)).astype(np.float32)
        truth = np.zeros((count, SIDE, SIDE), bool)
        others = [(r, c) for r in range(CELLS) for c in range(CELLS) if (r, c) not in cells]
        for image, mask in zip(images, truth, strict=True):
            number = {"all": len(cells), "one": 1, "two": 2}[filled]
            for i in draw.permutation(len(cells))[:number]:
                _square(image, cells[i], mine)
                row, column = (CELL * v for v in cells[i])
                mask[row : row + CELL, column : column + CELL] = True
            for i in draw.permutation(len(others))[:4]:
                _square(image, others[i], mine if draw.integers(2) else (0.0, 0.0, 1.0))
        net = Rule(color, rule, cells).eval()
        with torch.no_grad():
            said = net(torch.from_numpy(images).permute(0, 3, 1, 2)).argmax(1)
        if not bool((said == 1).all()):
            raise ValueError(f"The rule {name!r} must hold on all of its images. Received: {said.tolist()}.")
        found.append(Puzzle(name, net, images, truth))
    return found
