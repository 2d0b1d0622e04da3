"""What each shortcut of a forward saves, and whether `torch.compile` pays: EfficientNet-Lite0, by eager forwards.

    python -m benchmarks.compiled [--batches 1 4] [--keep] [--without-compiler]

The network alone with normalization folded into the convolutions; then activations in place; then weights packed as
oneDNN reads them, which is how shisen runs it; then activations within the convolutions, which it leaves out. `shisen`
is the whole call. With `--keep` freed memory is kept, as commands do. Compiling needs a C++ compiler. Times are of the
processor; compiling works in other processes too, so its seconds are by the clock as well. It `pays after` the
number of forwards after which the time spent on compiling has come back.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

import shisen
from benchmarks.timing import in_turns, ratio
from shisen._core.malloc import keep_freed_memory
from shisen.adapters.torch.folding import Pair, folded


@contextmanager
def within(pairs: Mapping[Any, Pair]) -> Iterator[None]:
    """Run the pairs with ReLU6 computed by the convolution itself."""
    acting = [pair for pair in pairs.values() if pair.act is not None]
    blocks = {id(pair.folded()[0].blocks[torch.float32]) for pair in acting}
    plain = torch.ops.mkldnn._convolution_pointwise

    def convolution(x: Any, weight: Any, *rest: Any) -> Any:
        return plain(x, weight, *rest[:5], *(("hardtanh", [0.0, 6.0]) if id(weight) in blocks else ("none", [])), "")

    try:
        torch.ops.mkldnn._convolution_pointwise = convolution
        for pair in acting:
            pair.act.__dict__["forward"] = lambda x: x
        with folded(pairs, ()):
            yield
    finally:
        torch.ops.mkldnn._convolution_pointwise = plain
        for pair in acting:
            pair.act.__dict__.pop("forward", None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--without-compiler", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    if given.keep:
        keep_freed_memory()
    model = shisen.load("efficientnet_lite0", device="cpu")
    fast, net = model.fast(), model.network.net.eval()
    model.activations(torch.rand(1, 224, 224, 3))
    pairs = model.network._pairs[1]
    loose = {paths: Pair(pair.conv, pair.norm, pair.act) for paths, pair in pairs.items()}
    apart = {paths: Pair(pair.conv, pair.norm) for paths, pair in pairs.items()}
    for n in given.batches:
        images = torch.rand(n, 224, 224, 3)
        x = images.permute(0, 3, 1, 2)

        def run(net: Any, around: Any = None, x: Any = x) -> Any:
            with torch.no_grad(), around or nullcontext():
                return net(x)

        things: dict[str, Any] = {
            "eager": lambda: run(net),
            "folded": lambda: run(net, folded(apart, ())),
            "and in place": lambda: run(net, folded(loose, ())),
            "and packed": lambda: run(net, folded(pairs, ())),
            "within": lambda: run(net, within(pairs)),
            "shisen": lambda i=images: model.activations(i),
            "shisen, fast": lambda i=images: fast.activations(i),
        }
        print(f"\nbatch {n}")
        wanted = run(net)
        for name in ("folded", "and in place", "and packed", "within"):
            print(f"  {name:16s} logits off by {float((things[name]() - wanted).abs().max() / wanted.abs().max()):.0e}")
        if not given.without_compiler:
            compiled: Any = torch.compile(net)
            clock, processor = perf_counter(), process_time()
            run(compiled)
            clock, processor = perf_counter() - clock, process_time() - processor
            print(f"  compiled in {clock:.1f} s ({processor:.1f} s of the processor, without other processes)")
            things["compiled"] = lambda c=compiled: run(c)
        times = in_turns(things, given.rounds)
        for name in things:
            print(f"  {name:16s} {ratio(times, name, 'eager', 1):.2f}")
        print(f"  within, by packed {ratio(times, 'within', 'and packed', 1):.2f}")
        if "compiled" in things:
            saved = median(t[1] for t in times["eager"]) - median(t[1] for t in times["compiled"])
            print(f"  compiling pays after {processor / saved:.0f} forwards" if saved > 0 else "  never pays")


if __name__ == "__main__":
    main()
