"""Entry point: starts the command line, and takes an interruption at any moment, start-up included."""

import os
import sys

# numpy's matrix products here are small and run in threads of ours already: its own threads only get in the way
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

INTERRUPTED = 130


def main() -> None:
    """Run `contrafact.cli`; exit status 130 when interrupted."""
    try:
        from contrafact.cli import run

        status = run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as ending:  # how the command line's library ends, interrupted or not
        status = ending.code if isinstance(ending.code, int) else 0
    if status == INTERRUPTED:
        print("Interrupted; nothing was left half-written.", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
