"""Training survives being killed anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_killed_at_every_point_it_resumes_to_equal_bits(tmp_path):
    script = Path(__file__).parent / "crash_points.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["points"] >= 20
    assert told["killed"] == told["points"]
    assert told["different"] == []
    assert told["left"] == []
