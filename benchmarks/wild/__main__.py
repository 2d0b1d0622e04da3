"""What people bring, one line each: works with the right value, or the sentence with which it is refused.

python -m benchmarks.wild [--only keras onnx] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

from . import files, forms, images, networks, others, strangers, volumes
from .situations import SITUATIONS, outcome

PARTS = (images, networks, files, forms, strangers, others, volumes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="Kinds of situations.")
    parser.add_argument("--json", type=Path, help="Write the table to this file too.")
    asked = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows = []
    for situation in SITUATIONS:
        if asked.only and situation.kind not in asked.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            good, words = outcome(situation, Path(folder))
        mark = "ok  " if good else "open" if situation.open else "FAIL"
        rows.append(
            {"kind": situation.kind, "situation": situation.words, "good": good, "outcome": words, "mark": mark.strip()}
        )
        print(f"{mark}  {situation.kind:14}{situation.words}\n          → {words}", flush=True)
    counts = Counter(r["mark"] for r in rows)
    print(f"\n{len(rows)} situations: {', '.join(f'{n} {mark}' for mark, n in counts.items())}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
