"""How many images to send at a time: the time of 32 images in batches of each size, in forwards one by one.

python -m benchmarks.batch_size [--threads 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from benchmarks.methods_speed import Setting
from benchmarks.timing import in_turns, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    setting = Setting(1)
    x = setting.x.repeat(32, 1, 1, 1)

    def by(batch_size: int) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                for i in range(0, 32, batch_size):
                    setting.net(x[i : i + batch_size])

        return run

    things = {f"batches of {batch_size}": by(batch_size) for batch_size in (1, 2, 4, 6, 8, 16, 32)}
    for name, wall, processor, ms in table(in_turns(things, given.rounds), "batches of 1"):
        print(f"{name:16s} {wall:6.2f} {processor:6.2f} {ms:8.1f} ms")


if __name__ == "__main__":
    main()
