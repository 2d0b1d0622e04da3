"""Install a wheel in an empty environment and run the demo there, outside of the checkout.

python tools/release.py PYTHON WHEEL TORCH
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


def main(python: str, wheel: str, torch: str) -> int:
    """Test a wheel with an interpreter.

    Args:
        python: path of the interpreter.
        wheel: path of the wheel.
        torch: requirement of torch that is installed first, such as `torch==2.13.0`.

    Returns:
        The exit status: 0 if the demo wrote its images and the installed version is that of the wheel.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KERAS"))}
    with tempfile.TemporaryDirectory() as folder:
        environment, out = Path(folder) / "env", Path(folder) / "demo"
        inside = environment / "bin" / "python"

        def run(*command: str | Path) -> str:
            done = subprocess.run(command, cwd=folder, env=clean, check=True, stdout=subprocess.PIPE, text=True)
            return done.stdout.strip()

        run(python, "-m", "venv", environment)
        run(inside, "-m", "pip", "install", "-q", torch)
        run(inside, "-m", "pip", "install", "-q", f"{Path(wheel).resolve()}[torch,perturbation]")
        version = run(inside, "-c", "import shisen; print(shisen.__version__)")
        run(inside, DEMO, out)
        images = sorted(out.glob("*.png"))
        sound = bool(images) and f"-{version}-" in Path(wheel).name
        print(f"{python}: shisen {version}, {len(images)} images written{'' if sound else ': this is wrong'}")
        return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
