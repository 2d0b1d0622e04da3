"""Filter images: 64 channels in batches beside one channel at a time in the usual recipe, same network, same side.

    python benchmarks/filters.py --layer blocks.3.1 --rounds 4

The single recipe is what lucid and its torch successor lucent do by default: a Fourier image of 128 pixels, colors
decorrelated, padding, jitter, scale and rotation, Adam at 0.05, 512 steps, the whole network run forwards. One single
is run after each part of the batch and its time is multiplied; processor seconds are given beside wall seconds, for
busy machines.
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter, process_time

import numpy as np
import torch
from torch.nn import functional as F

import shisen
from shisen.inspect.feature_visualization import filters
from shisen.inspect.parameters import COLORS


def single(net: torch.nn.Module, layer: str, channel: int, steps: int = 512, side: int = 128) -> np.ndarray:
    """Return one image `(side, side, 3)` in [0, 1]."""
    torch.manual_seed(channel)
    rng = np.random.default_rng(channel)
    spectrum = (torch.randn(1, 3, side, side // 2 + 1, 2) * 0.01).requires_grad_()
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    fall = 1 / frequency.clamp(min=1 / side)
    colors = torch.tensor(np.asarray(COLORS))
    adam = torch.optim.Adam([spectrum], lr=0.05)
    heard: list[torch.Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda _m, _i, y: heard.append(y))

    def image() -> torch.Tensor:
        waves = torch.view_as_complex(spectrum) * fall
        plain = torch.fft.irfft2(waves, s=(side, side), norm="ortho") / 4
        return torch.sigmoid(torch.einsum("ij,njhw->nihw", colors, plain))

    for _ in range(steps):
        adam.zero_grad()
        heard.clear()
        x = F.pad(image(), (12,) * 4, value=0.5)
        top, left = rng.integers(0, 8, 2)
        x = x[..., top : top + x.shape[-2] - 8, left : left + x.shape[-1] - 8]
        x = F.interpolate(x, scale_factor=1 + (int(rng.integers(11)) - 5) / 50, mode="bilinear", align_corners=False)
        turn = np.deg2rad(rng.integers(-10, 11))
        matrix = torch.tensor([[[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]]], dtype=x.dtype)
        x = F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)
        top, left = rng.integers(0, 4, 2)
        x = x[..., top : top + x.shape[-2] - 4, left : left + x.shape[-1] - 4]
        net(x * (255 / 128) - 127 / 128)
        (-heard[0][0, channel].mean()).backward()
        adam.step()
    handle.remove()
    return image()[0].permute(1, 2, 0).detach().numpy()


def main() -> None:
    """Run both in turns, a batch and a single, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", default="blocks.3.1")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4, help="the channels are made in this many parts")
    parser.add_argument("--recipe", default="strong")
    asked = parser.parse_args()
    model = shisen.load("efficientnet_lite0")
    net = model.network.net
    for p in net.parameters():
        p.requires_grad_(False)
    filters(model, asked.layer, [0], recipe=asked.recipe, n_steps=1)  # first calls plan their convolutions
    parts = np.array_split(np.arange(asked.channels), asked.rounds)
    ours, theirs, together, alone = [], [], [], []
    for part in parts:
        wall, used = perf_counter(), process_time()
        made = filters(model, asked.layer, [int(c) for c in part], recipe=asked.recipe)
        ours.append((perf_counter() - wall, process_time() - used))
        together.append(float(made.final[0]))
        wall, used = perf_counter(), process_time()
        image = single(net, asked.layer, int(part[0]))
        theirs.append(np.array((perf_counter() - wall, process_time() - used)) * len(part))
        alone.append(float(np.asarray(model.activations(image[None], asked.layer))[..., part[0]].mean()))
    batched, singles = np.array(ours), np.array(theirs)
    faster = np.median(singles / batched, axis=0)
    found = {
        "layer": asked.layer,
        "recipe": asked.recipe,
        "channels": asked.channels,
        "threads": torch.get_num_threads(),
        "batched": dict(zip(("wall_s", "cpu_s"), batched.sum(0).round(1).tolist(), strict=True)),
        f"singles, from {asked.rounds}": dict(zip(("wall_s", "cpu_s"), singles.sum(0).round(1).tolist(), strict=True)),
        "faster_wall, median of rounds": round(float(faster[0]), 1),
        "faster_cpu, median of rounds": round(float(faster[1]), 1),
        "objective_batched": round(float(np.mean(together)), 2),
        "objective_single": round(float(np.mean(alone)), 2),
        "of the channels": [int(part[0]) for part in parts],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
