from __future__ import annotations

import subprocess
import sys


def test_drawing_modules_load_no_matplotlib_and_no_framework():
    code = (
        "import sys, shisen.viz.scale, shisen.viz.overlay, shisen.viz.files, shisen.viz.figure, "
        "shisen.viz.sheet\n"
        "print([m for m in ('matplotlib', 'contourpy', 'torch', 'keras', 'shisen.models') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
