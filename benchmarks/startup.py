"""From command to file: `shisen explain` on one photo, beside a bare torch script with the same network.

    python -m benchmarks.startup [PHOTO]

Both are started anew, in turns, on a warm disk; wall-clock time, and CPU time in parentheses. The bare script imports
torch and Pillow, builds EfficientNet-Lite0, loads its weights, decodes the photo and does one forward; it draws and
writes nothing. `imports` is the bare script without network and photo. Without a photo scikit-image's cat is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.timing import in_turns, ratio

BARE = """
import sys
import numpy as np, torch
from PIL import Image
from shisen.models.efficientnet_lite_torch import load_net
net = load_net(0)
pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC), np.float32)
with torch.inference_mode():
    chances = net(torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None].contiguous()).softmax(-1)
print(int(chances.argmax()), float(chances.max()))
"""


def started(*words: str) -> None:
    """Run Python with these arguments in a process of its own."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def cpu_of_children() -> float:
    """Return the CPU time of all processes that were started and have ended."""
    now = os.times()
    return now.children_user + now.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", default=None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = given.photo
        if photo is None:
            from PIL import Image
            from skimage.data import cat

            photo = str(Path(folder) / "cat.jpg")
            Image.fromarray(cat()).save(photo, quality=92)
        times = in_turns(
            {
                "imports": lambda: started("-c", "import numpy, torch, PIL.Image"),
                "bare": lambda: started("-c", BARE, photo),
                "explain": lambda: started("-m", "shisen", "explain", photo, "--device", "cpu", "--out", folder),
            },
            given.rounds,
            cpu=cpu_of_children,
        )
    found = {name: [median(span[clock] for span in spans) for clock in (0, 1)] for name, spans in times.items()}
    found["explain / bare"] = [ratio(times, "explain", "bare", clock) for clock in (0, 1)]
    for name, (wall, cpu) in found.items():
        print(f"{name:16s} {wall:6.2f} ({cpu:.2f}){'' if '/' in name else ' s'}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
