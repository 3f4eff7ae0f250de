"""What either network's opinion of the melody's pitch is worth, in the mixed reader: a choice on the tuning songs.

    python benchmarks/melody_ears.py [--work FOLDER]

For pairs of weights (`mixed.NETWORK`, `mixed.BASIC_PITCH`) the figures of the melody on the tuning songs of
``leadsheet_manifest.json``, whose test songs are never read; (1, 0) is our network alone. Those that are used have the
fewest false alarms of all that lose no more than 0.002 of raw chroma accuracy. Results go to
``benchmarks/results/melody_ears.json``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from contrafact.leadsheets import mixed
from contrafact.leadsheets.neural import _listener, _melody
from leadsheet import load, manifest, melody_scores, note_scores
from record import record

PAIRS = ((1.0, 0.0), (1.0, 1.0), (0.7, 0.7), (0.7, 1.5), (0.5, 0.5), (0.5, 1.0), (0.5, 1.5), (0.5, 2.0), (0.3, 2.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / f"contrafact-leadsheet-{os.getuid()}"
    )
    work = parser.parse_args().work
    listener = _listener.build("leadsheet")
    found: dict[tuple[float, float], list[dict[str, float]]] = {pair: [] for pair in PAIRS}
    for name in manifest()["tune"]:
        case = load(name, work)
        heard = listener(case.audio, last=True, wanted=("strokes", "melody"))
        for pair in PAIRS:
            mixed.NETWORK, mixed.BASIC_PITCH = pair
            notes = _melody.find_melody(mixed.of_both(heard.melody, case.transcription), heard.starts)
            scores = melody_scores(case.melody, notes) | note_scores(case.sheet.melody, notes)
            found[pair].append(scores)
        print(name, {pair: round(rows[-1]["overall"], 3) for pair, rows in found.items()}, flush=True)
    rows = [
        {"network": ours, "basic_pitch": theirs, **{k: round(float(np.mean([r[k] for r in of])), 4) for k in of[0]}}
        for (ours, theirs), of in found.items()
    ]
    for row in rows:
        print(row)
    record("melody_ears", {"songs": len(found[PAIRS[0]]), "weights": rows})


if __name__ == "__main__":
    main()
