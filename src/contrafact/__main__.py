"""Entry point: starts the command line, and takes an interruption at any moment, start-up included."""

import os
import sys

from contrafact import interruption

# numpy's matrix products here are small and run in threads of ours already: its own threads only get in the way
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run `contrafact.cli`; exit status 130 or 143 when SIGINT or SIGTERM interrupted it."""
    try:
        interruption.listen()
        from contrafact.cli import run

        status = run()
    except KeyboardInterrupt:
        status = 1
    except SystemExit as ending:  # how the command line's library ends, interrupted or not
        status = ending.code if isinstance(ending.code, int) else 0
    if status and (interrupted := interruption.status()):
        print("Interrupted; nothing was left half-written.", file=sys.stderr)
        status = interrupted
    sys.exit(status)


if __name__ == "__main__":
    main()
