"""The renderer against the plain `fluidsynth` program on the same four-part score, and how long the mix takes.

    python benchmarks/rendering.py [SECONDS]

The program plays all parts in one process into a 16-bit file, without its reverb and chorus; the renderer gives one
float file a part. Both are timed in turn, three times, the fastest counting. The score is made here: a tune, chords of
four notes twice in each beat, a walking bass and a ride cymbal, at 120 beats a minute.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from contrafact.midi import write_midi
from contrafact.mixer import Channel, Room, mix
from contrafact.registry import RENDERERS
from contrafact.renderers.soundfont import find_soundfont
from contrafact.score import Note, Part, Score
from record import record

BEAT_S = 0.5
RUNS = 3


def main(seconds: float) -> None:
    """Time rendering, its peer and the mix, print and write the result."""
    score = trio(seconds)
    render = RENDERERS.build("soundfont")
    with tempfile.TemporaryDirectory(prefix="contrafact-") as name:
        folder = Path(name)
        write_midi(score, folder / "score.mid")
        command = ["fluidsynth", "-n", "-i", "-R", "0", "-C", "0", "-r", "44100", "-F", str(folder / "peer.wav")]
        command += [str(find_soundfont("")), str(folder / "score.mid")]
        times: dict[str, list[float]] = {"peer_s": [], "render_s": [], "mix_s": []}
        channels = {"bass": Channel(width=0.0), "drums": Channel(-7.0, 0.15)}
        for _ in range(RUNS):
            times["peer_s"].append(timed(lambda: subprocess.run(command, check=True, capture_output=True)))
            times["render_s"].append(timed(lambda: render(score, folder, seconds)))
            parts = render(score, folder, seconds)
            times["mix_s"].append(timed(partial(mix, parts, channels, Room(), folder / "mix")))
    best = {name: round(min(values), 2) for name, values in times.items()}
    result = {
        "peer": "fluidsynth -F, one process, 16 bits",
        "music_s": seconds,
        "notes": sum(len(p.notes) for p in score.parts),
        **best,
        "speed_ratio": round(min(times["peer_s"]) / min(times["render_s"]), 2),
        "mix_real_time_factor": round(seconds / min(times["mix_s"]), 1),
    }
    print(result)
    print(record("rendering", result))


def timed(job: Callable[[], object]) -> float:
    """Seconds on the clock."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def trio(seconds: float) -> Score:
    """Four busy parts, the same in every run."""
    draw = random.Random(0)
    tune, chords, bass, drums = [], [], [], []
    for beat in range(int(seconds / BEAT_S) - 1):
        at = beat * BEAT_S
        tune += [Note(at + offset, 0.22, draw.randint(60, 84), 85) for offset in (0.0, 0.33)]
        for offset in (0.0, 0.33):
            velocity = draw.randint(50, 80)
            chords += [Note(at + offset, 0.4, pitch, velocity) for pitch in draw.sample(range(48, 76), 4)]
        bass.append(Note(at, 0.46, draw.randint(30, 50), 90))
        drums += [Note(at, 0.1, 51, 80), Note(at + 0.33, 0.1, 51, 60), Note(at, 0.1, 36, 40)]
        drums += [Note(at, 0.1, 44, 70)] if beat % 2 else []
    return Score(
        (
            Part("melody", 0, tuple(tune)),
            Part("piano", 0, tuple(chords)),
            Part("bass", 32, tuple(bass)),
            Part("drums", 32, tuple(drums), is_drums=True),
        )
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 240.0)
