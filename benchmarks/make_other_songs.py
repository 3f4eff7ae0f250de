"""Makes ``src/contrafact/metrics/other_songs.json``: unrelated songs against which every cover's figures are read.

    python benchmarks/make_other_songs.py [--work FOLDER]

The songs are pop909's of ``leadsheet_manifest.json`` (all for tuning and the first nine of the test), rendered as a pop
band and measured on their true beats. FOLDER may be that of ``leadsheet.py``, which renders the same songs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import leadsheet
from contrafact.files import write_text
from contrafact.metrics.content import FRAMES, original_content
from contrafact.metrics.other_songs import PATH, STEPS, OtherSong, encode
from contrafact.metrics.style_statistics import as_heard, statistics

TEST_SONGS = 9
HEAD = {"format": "contrafact-other-songs-1", "source": "pop909 (MIT), https://github.com/music-x-lab/POP909-Dataset"}


def main() -> None:
    """Render, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "contrafact-other-songs")
    work = parser.parse_args().work
    manifest = leadsheet.manifest()
    records = []
    for name in sorted([*manifest["tune"], *manifest["test"][:TEST_SONGS]]):
        records.append(encode(measure(name, leadsheet.load(name, work))))
        print(name, len(records[-1]["chords"]), "beats", flush=True)
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    text = "{\n" + "".join(f" {json.dumps(k)}: {json.dumps(v)},\n" for k, v in HEAD.items())
    write_text(PATH, f'{text} "songs": [\n{lines}\n ]\n}}\n')
    print(PATH, PATH.stat().st_size, "bytes")


def measure(name: str, case: leadsheet.Case) -> OtherSong:
    """One song on its true beats; its style as that of a copy of the input is measured."""
    content = original_content(case.audio, case.sheet)
    style = statistics(case.sheet, as_heard(case.sheet, case.transcription.score))
    steps = content.line.frames.reshape(-1, FRAMES // STEPS)[:, 1]
    started = np.round(content.line.onsets * STEPS).astype(int)
    onsets = np.zeros(len(steps), bool)
    onsets[started[(started >= 0) & (started < len(steps))]] = True
    onsets |= np.diff(steps, prepend=-1).astype(bool)
    roots, triads = (x[FRAMES // 2 :: FRAMES] for x in (content.harmony.roots, content.harmony.triads))
    qualities = np.where(triads < 2, triads, -1)
    return OtherSong(name, content.chroma, steps, onsets & (steps >= 0), roots, qualities, style)


if __name__ == "__main__":
    main()
