"""Makes ``src/contrafact/metrics/other_songs.json``: unrelated songs against which every cover's figures are read.

    python benchmarks/make_other_songs.py [--songs 28]

Songs are taken evenly from those of pop909 that are in no split of ``leadsheet_manifest.json``, rendered as a pop band,
and measured on their true beats. Takes some minutes; the file is the same for the same corpus and soundfont.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr

from contrafact.audio import Audio
from contrafact.data import pop909, songs
from contrafact.dsp.chroma import SAMPLE_RATE
from contrafact.files import write_text
from contrafact.metrics.content import FRAMES, original_content
from contrafact.metrics.other_songs import BEATS, PATH, STEPS, OtherSong, encode

MANIFEST = Path(__file__).with_name("leadsheet_manifest.json")


def main() -> None:
    """Choose, render, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=28)
    chosen = choose(parser.parse_args().songs)
    records = []
    for name in chosen:
        records.append(encode(measure(name)))
        print(name, len(records[-1]["chords"]), "beats", flush=True)
    head = {
        "format": "contrafact-other-songs-1",
        "source": "pop909 (MIT), https://github.com/music-x-lab/POP909-Dataset",
    }
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    text = "{\n" + "".join(f" {json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items())
    write_text(PATH, f'{text} "songs": [\n{lines}\n ]\n}}\n')
    print(PATH, PATH.stat().st_size, "bytes")


def choose(count: int) -> list[str]:
    """Names of songs, evenly spread over the corpus, that no benchmark of lead sheets uses or is tuned on."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    used = {*manifest["tune"], *manifest["test"]}
    free = [s.name for s in pop909.read_all() if s.name not in used and s.name[-1] != "7" and s.score.part("melody")]
    return [free[round(i)] for i in np.linspace(0, len(free) - 1, count)]


def first_beats(song: songs.BandSong) -> songs.BandSong:
    """The song without what is not stored, so that it is rendered faster."""
    beats = song.sheet.beats_s
    end_s = float(beats[min(BEATS, len(beats) - 1)]) + 1
    parts = (replace(p, notes=tuple(n for n in p.notes if n.onset_s < end_s)) for p in song.score.parts)
    return replace(song, score=replace(song.score, parts=tuple(parts)), sheet=replace(song.sheet, duration_s=end_s))


def measure(name: str) -> OtherSong:
    """One song, rendered."""
    mix, _ = songs.render(song := first_beats(songs.produce(pop909.read(name))))
    mono = soxr.resample(mix.samples.mean(axis=0), mix.sample_rate, SAMPLE_RATE).astype(np.float32)
    content = original_content(Audio(mono[None], SAMPLE_RATE), song.sheet)
    steps = content.line.frames.reshape(-1, FRAMES // STEPS)[:, 1]
    onsets = np.zeros(len(steps), bool)
    started = np.round(content.line.onsets * STEPS).astype(int)
    onsets[started[(started >= 0) & (started < len(steps))]] = True
    onsets |= (steps >= 0) & np.diff(steps, prepend=-1).astype(bool)
    roots, triads = (x[FRAMES // 2 :: FRAMES] for x in (content.harmony.roots, content.harmony.triads))
    return OtherSong(name, content.chroma, steps, onsets & (steps >= 0), roots, np.where(triads < 2, triads, -1))


if __name__ == "__main__":
    main()
