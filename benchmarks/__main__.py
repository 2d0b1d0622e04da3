"""All figures of the README and the docs, one command after the other; peers stand beside us in the same run.

    python -m benchmarks [--photos FOLDER] [--out benchmarks/results]

Without a folder of labelled photos (labels.csv beside them) only the parts that need none are run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ALWAYS = (
    ["benchmarks.methods_speed", "--out", "{out}/methods_speed.json"],
    ["benchmarks.methods_memory"],
    ["benchmarks.filters"],
    ["benchmarks.web", "--out", "{out}/web.json"],
)
WITH_PHOTOS = (
    ["benchmarks.collages", "{photos}", "--out", "{out}/collages.json", "--page", "docs/collages.md"],
    ["benchmarks.evaluate_speed", "{photos}"],
    ["benchmarks.trust", "{photos}"],
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=None, help="folder with photos and labels.csv")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for module, *words in (*ALWAYS, *(WITH_PHOTOS if given.photos else ())):
        arguments = [w.format(out=given.out, photos=given.photos) for w in words]
        print(f"\n== python -m {module} {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode:
            failed.append(module)
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
