"""Run a program under limits: ``python _limited.py MEMORY_BYTES CPU_S FILE_BYTES PROGRAM ARGUMENT…``.

Started as a script of its own (standard library only, some ten milliseconds), because limits set between fork and exec
in a parent with threads are not safe. A limit that the system does not know is left out.
"""

from __future__ import annotations

import contextlib
import os
import sys


def _limit(memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Limit address space, processor time and file size of this process; write no core dump."""
    import resource

    wanted = {"RLIMIT_AS": memory_bytes, "RLIMIT_CPU": cpu_s, "RLIMIT_FSIZE": file_bytes, "RLIMIT_CORE": 0}
    for name, soft in wanted.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            allowed = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
            resource.setrlimit(kind, (allowed, hard if name == "RLIMIT_CPU" else allowed))


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent dies, so that a killed run leaves no decoder behind."""
    import ctypes

    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


if __name__ == "__main__":
    with contextlib.suppress(Exception):
        _die_with_parent()
    with contextlib.suppress(ImportError):
        _limit(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    os.execv(sys.argv[4], sys.argv[4:])
