"""Does `torch.compile` pay? Its seconds for EfficientNet-Lite0, and forwards compiled, eager and in half precision.

    python -m benchmarks.compiled [--batches 1 4]

Needs a C++ compiler. Times are of the processor; compiling works in other processes too, so its seconds are by the
clock as well. `pays after` is the number of forwards after which the time spent on compiling has come back.
"""

from __future__ import annotations

import argparse
import warnings
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

import shisen
from benchmarks.timing import in_turns, ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    model = shisen.load("efficientnet_lite0", device="cpu")
    fast, net = model.fast(), model.network.net.eval()
    for n in given.batches:
        images = torch.rand(n, 224, 224, 3)
        x = images.permute(0, 3, 1, 2)
        compiled: Any = torch.compile(net)

        def eager(x: Any = x) -> None:
            with torch.no_grad():
                net(x)

        def quick(x: Any = x, compiled: Any = compiled) -> None:
            with torch.no_grad():
                compiled(x)

        clock, processor = perf_counter(), process_time()
        quick()
        clock, processor = perf_counter() - clock, process_time() - processor
        things = {
            "eager": eager,
            "compiled": quick,
            "shisen (folded)": lambda i=images: model.activations(i),
            "shisen, fast": lambda i=images: fast.activations(i),
        }
        times = in_turns(things, given.rounds)
        saved = median(t[1] for t in times["eager"]) - median(t[1] for t in times["compiled"])
        print(f"\nbatch {n}: compiled in {clock:.1f} s ({processor:.1f} s of the processor, without other processes)")
        for name in things:
            print(f"  {name:16s} {ratio(times, name, 'eager', 1):.2f}")
        print(f"  pays after {processor / saved:.0f} forwards" if saved > 0 else "  never pays")


if __name__ == "__main__":
    main()
