"""How far off the drift of a cover is told: covers of real songs, stretched by a known amount.

    python benchmarks/drift.py [SONG ...]

Each song's jazz trio is stretched so that it ends 30 or 60 ms later, or 30 ms earlier; what `metrics.timing` tells,
less what it told before and less the stretch, is its error. Beside the reach within which a window's lag is sought,
twice that: windows then jump to the next thing that a swinging band plays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from contrafact.audio import ANALYSIS_RATE
from contrafact.cover import arrange, leadsheet, transcribe
from contrafact.hearing import hear
from contrafact.metrics import timing
from contrafact.metrics.content import shared_beats
from contrafact.registry import RENDERERS
from contrafact.renderers._attack import struck_early
from contrafact.settings import Settings
from covers import named, real_songs
from record import record

STRETCHES_MS = (30.0, -30.0, 60.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", nargs="*", type=Path)
    songs = parser.parse_args().songs
    rows = []
    for song in songs or real_songs():
        rows.append(named(song) | errors(song))
        print(rows[-1], flush=True)
    means = {k: round(float(np.nanmean([row[k] for row in rows])), 2) for k in ("error_ms", "error_ms_twice_the_reach")}
    print(json.dumps(means))
    if not songs:
        record("drift", {**means, "songs": rows})


def errors(song: Path) -> dict[str, float]:
    """Mean absolute errors in ms over the stretches."""
    with tempfile.TemporaryDirectory() as folder:
        heard = hear(song, Path(folder))
        notes = transcribe(heard)
        original = leadsheet(heard, notes)
        made = arrange(original, notes.score, Settings())
        renderer = RENDERERS.build("soundfont", sample_rate=ANALYSIS_RATE)
        parts = renderer(struck_early(made.score), Path(folder), heard.source.recording.duration_s)
        cover = sum(part.mono(ANALYSIS_RATE).samples[0] for part in parts.values())
    together_s = shared_beats(original, made.sheet)
    time, found, reach = np.arange(len(cover)), {}, timing.NEAR
    for name, factor in (("error_ms", 1), ("error_ms_twice_the_reach", 2)):
        timing.NEAR = factor * reach
        drifts = []
        for stretch_ms in (0.0, *STRETCHES_MS):
            late = np.interp(time * (1 - stretch_ms / 1000 * ANALYSIS_RATE / len(cover)), time, cover)
            told = timing.timing(heard.analysis.samples[0], late.astype(np.float32), together_s)
            drifts.append(told.drift_ms - stretch_ms)
        found[name] = round(float(np.abs(np.array(drifts[1:]) - drifts[0]).mean()), 2)
    timing.NEAR = reach
    return found


if __name__ == "__main__":
    main()
