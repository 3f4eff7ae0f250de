"""Kills a small training run with SIGKILL at every instrumented point, resumes it, and compares the weights.

Started as a script: ``python crash_points.py FOLDER``. Points are all file operations inside the run's folder (opening,
half-way through writing, syncing, renaming, removing) and the beginnings of steps and moves. Prints a JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from tests.recipes import toy

from contrafact import files
from contrafact.training import checkpoint, loop
from contrafact.training.recipe import parse

RECIPE = {
    "method": "tests/toy",
    "question": "what survives?",
    "loop": {"steps": 6, "batch_size": 3, "checkpoint_every": 2, "keep": 2, "log_every": 2, "listen_every": 0}
    | {"ema_decay": 0.9, "tensorboard": False, "device": "cpu"},
    "players": {"critic": {"every": 2, "first_step": 1}, "generator": {"clip_norm": 0.5, "schedule": "cosine"}},
}


def digest(run: Path) -> str:
    """Hash of all that a run learned: networks, averages, optimisers, step."""
    found = checkpoint.latest(run / loop.CHECKPOINTS)
    assert found is not None
    total = hashlib.sha256(str(found.step).encode())
    for name in sorted(found.tensors):
        total.update(name.encode() + found.tensors[name].numpy().tobytes())
    return total.hexdigest()


def train(run: Path, resume: bool) -> None:
    loop.train(toy.METHOD, parse(RECIPE), run, resume=resume)


def watched(run: Path, die_at: int) -> int:
    """Train under observation; dies at point ``die_at``, or gives the number of points."""
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(run) in str(arguments[0]):
            point()

    class Halved:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            point()
            return self.file.write(data[len(data) // 2 :])

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *rest):
            self.file.close()

    def before(function):
        def wrapped(*arguments, **named):
            point()
            return function(*arguments, **named)

        return wrapped

    real = os.fdopen
    files.os.fdopen = lambda handle, mode: Halved(real(handle, mode))
    files.os.fsync = before(os.fsync)
    loop._Run._step = before(loop._Run._step)
    loop._Run._move = before(loop._Run._move)
    sys.addaudithook(hook)
    train(run, resume=False)
    return passed


def forked(job) -> int:
    """Exit status of a job in a child process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = job() or 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    train(folder / "warm", resume=False)  # imports happen once, before the forks
    whole = folder / "whole"
    points = os.waitstatus_to_exitcode(forked(lambda: watched(whole, 0)))
    wanted, different, killed = digest(whole), [], 0
    for point in range(1, points + 1):
        run = folder / f"killed-{point}"
        killed += os.WIFSIGNALED(forked(lambda run=run, point=point: watched(run, point)))
        forked(lambda run=run: train(run, resume=True))
        if digest(run) != wanted:
            different.append(point)
    left = [str(p) for p in folder.rglob(f"{files.PARTIAL_PREFIX}*")]
    print(json.dumps({"points": points, "killed": killed, "different": different, "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
