"""Entry point: starts the command line, and takes an interruption at any moment, start-up included."""

import sys


def main() -> None:
    """Run `contrafact.cli`; exit status 130 when interrupted."""
    try:
        from contrafact.cli import run

        status = run()
    except KeyboardInterrupt:
        print("Interrupted; nothing was left half-written.", file=sys.stderr)
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
