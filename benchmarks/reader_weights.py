"""What the decoders of chords (``mixed``) and melody (``mixed`` and ``neural``) get with other settings.

    python benchmarks/reader_weights.py [--hard 14] [--work FOLDER]

The songs: the tuning songs of ``leadsheet_manifest.json``, played plainly, and the first ``--hard`` songs of pop909's
validation split with productions drawn as those of the hard test, which no test has; and, for the chords, all real
songs, on which covers are judged, too. Nobody wrote their chords down: of them it tells how well the tones of the
chords explain the chroma by beat (a cosine, as in `metrics.content`), and for which share of the time there are none.
``hasty`` counts the chords of a minute that are shorter than 0.75 s.
The choices that stand in the readers' ``Harmony`` and ``Melody`` were made by hand with such tables in view.
``certainty`` tells how often the root of a chord is right by how sure the reader is of it. Results go to
``benchmarks/results/reader_weights.json``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from contrafact import cover, hearing
from contrafact.audio import Audio
from contrafact.data import productions, tunes
from contrafact.dsp.chroma import by_beat, chroma
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet
from contrafact.leadsheets import mixed, neural
from contrafact.leadsheets._parts import beatwise, chords, downbeats, features, key
from contrafact.leadsheets.neural import _harmony, _listener, _melody, _rhythm
from contrafact.leadsheets.neural._activations import Activations
from contrafact.score import Transcription
from contrafact.settings import Settings
from contrafact.theory.chords import parse
from covers import real_songs
from leadsheet import HARD, chord_score, load, manifest, melody_scores, note_scores, produced
from record import record

AS_IS = "as it is"
SEED = 77  # of the hard productions
TRUSTS, CHROMAS = (0.0, 0.3, 0.5, 1.0), (8.0, 16.0, 24.0)
WHOLES_S = (0.01, 0.4, 0.5, 0.7)  # lengths of a beat from which it says all it can; from 0.01 each beat counts alike
BONUSES = (0.0, 0.6, 2.0, 3.0)  # for chords within the key
HASTY_S = 0.75
COSTS = {"mixed": (3.0, 4.0, 5.0), "neural": (5.0, 6.5, 8.0)}
SHARES = {"mixed": (0.7, 0.8, 0.9), "neural": (0.8, 0.85, 0.9)}
Row = dict[str, float]
Contour = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Heard:
    """What is heard in a song before chords and melody are decoded.

    Attributes:
        small, wide: by the two networks.
        notes: by basic-pitch.
        sums: its chroma.
        grid: beats, positions, beats a bar, key and length, as `_harmony.find_chords` takes them.
    """

    small: Activations
    wide: Activations
    notes: Transcription
    sums: beatwise.Chromas
    grid: tuple[Any, ...]

    def chords(self, config: _harmony.Config) -> tuple[Chord, ...]:
        """As the reader ``mixed`` decodes them."""
        chord, bass = ((getattr(self.small, k) + getattr(self.wide, k)) / 2 for k in ("chord", "bass"))
        return _harmony.find_chords(chord, bass, config, self.sums, *self.grid)

    def melody(self, reader: str, config: _melody.Config) -> tuple[Any, ...]:
        """As a reader decodes it."""
        if reader == "neural":
            return _melody.find_melody(self.wide.melody, self.wide.starts, config)
        together = mixed.together((self.small.melody, self.wide.melody), self.notes)
        found = _melody.find_melody(together, (self.small.starts + self.wide.starts) / 2, config)
        return mixed.struck_anew(found, self.notes.score)


def hear(audio: Audio, notes: Transcription) -> Heard:
    """Listen with all networks, and find beats and key."""
    small, wide = (_listener.build(name)(audio) for name in (mixed.WEIGHTS, neural.WEIGHTS))
    land = beatwise.landscape(features.extract(audio, notes))
    rhythm = _rhythm.find_rhythm(small.strokes, land)
    per_bar = BEATS_PER_BAR[rhythm.bars.metre]
    beats = rhythm.beats_s, downbeats.positions(rhythm.bars, len(rhythm.beats_s), per_bar), per_bar
    whole = np.array([0.0, audio.duration_s])
    profiles = [land.sums.mean(kind, whole)[0] for kind in ("chord", "bass")]
    first, _ = key.find_key(*profiles)
    tonality, _ = key.find_key(*profiles, chords.find_chords(land.sums, *beats, first, audio.duration_s))
    return Heard(small, wide, notes, land.sums, (*beats, tonality, audio.duration_s))


def known_songs(hard: int, work: Path) -> Iterator[tuple[str, Heard, LeadSheet, Contour]]:
    """Kind ("plain", "hard"), what is heard, the truth, and the truth of the melody."""
    for name in manifest()["tune"]:
        case = load(name, work)
        yield "plain", hear(case.audio, case.transcription), case.sheet, case.melody
    for name in tunes.names("pop909", "valid")[:hard]:
        production = productions.draw(HARD, np.random.default_rng([SEED, int(name)]))
        case = produced(name, production, "valid", work)
        yield "hard", hear(case.audio, case.transcription), case.sheet, case.melody


def explained(found: tuple[Chord, ...], beats_s: np.ndarray, frames: np.ndarray) -> float:
    """Cosine of chord tones and chroma by beat, the mean of each beat taken away."""
    sounding = by_beat(frames, beats_s)
    middles = (beats_s[1:] + beats_s[:-1]) / 2
    at = np.searchsorted([c.start_s for c in found], middles, side="right") - 1
    tones = np.zeros_like(sounding)
    for row, place in zip(tones, at, strict=True):
        row[list(parse(found[max(place, 0)].symbol).pitch_classes)] = 1
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (sounding, tones))
    return float(np.sum(a * b) / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def certainty(truth: LeadSheet, found: tuple[Chord, ...]) -> np.ndarray:
    """Seconds of chords, and of those with the right root, by fifths of the confidence: (5, 2)."""
    table = np.zeros((5, 2))
    for ours, theirs in product(found, truth.chords):
        shared = min(ours.end_s, theirs.end_s) - max(ours.start_s, theirs.start_s)
        if shared > 0 and "N" not in (ours.symbol, theirs.symbol):
            right = parse(ours.symbol).root == parse(theirs.symbol).root
            table[min(int(5 * ours.confidence), 4)] += shared, shared * right
    return table


def hasty(found: tuple[Chord, ...]) -> float:
    """Chords a minute that are shorter than `HASTY_S`."""
    return 60 * sum(c.end_s - c.start_s < HASTY_S for c in found) / found[-1].end_s


def decoded(heard: Heard) -> Iterator[tuple[str, tuple[Chord, ...]]]:
    """Chords with each setting, by its name; the reader's own first."""
    for name, config in harmonies().items():
        yield name, heard.chords(config)
    for whole_s in WHOLES_S:
        with patch.object(chords, "WHOLE_S", whole_s):
            yield f"whole from {whole_s:g} s", heard.chords(mixed.Harmony())
    for bonus in BONUSES:
        with patch.object(_harmony, "KEY_BONUS", bonus):
            yield f"key {bonus:g}", heard.chords(mixed.Harmony())


def harmonies() -> dict[str, _harmony.Config]:
    """Settings to try, by name; the reader's own first."""
    tried = {
        f"trust {trust:g}, chroma {weight:g}": mixed.Harmony(trust=trust, chroma=weight)
        for trust, weight in product(TRUSTS, CHROMAS)
    }
    told = {"the networks tell silence": replace(mixed.Harmony(), tells_silence=True)}
    return {AS_IS: mixed.Harmony(), **tried, **told}


def melodies(reader: str) -> dict[str, _melody.Config]:
    """Settings to try, by name; the reader's own first."""
    own = (mixed if reader == "mixed" else neural).Melody()
    tried = product(COSTS[reader], SHARES[reader])
    return {AS_IS: own} | {f"cost {c:g}, share {s:g}": replace(own, change_cost=c, share=s) for c, s in tried}


def means(rows: list[Row]) -> Row:
    """Of each figure, over songs."""
    return {k: round(float(np.mean([row[k] for row in rows])), 4) for k in rows[0]}


def main() -> None:
    """Listen to each song once, decode it with all settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hard", type=int, default=14)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "contrafact-leadsheet")
    arguments = parser.parse_args()
    rows: dict[tuple[str, str, str], list[Row]] = {}
    sure = np.zeros((5, 2))
    for kind, heard, truth, contour in known_songs(arguments.hard, arguments.work):
        for name, found in decoded(heard):
            sheet = replace(truth, chords=found)
            row = {k: chord_score(truth, sheet, k) for k in ("majmin", "sevenths")} | {"hasty": hasty(found)}
            rows.setdefault(("chords", name, kind), []).append(row)
        sure += certainty(truth, heard.chords(harmonies()[AS_IS]))
        for reader in COSTS:
            for name, config in melodies(reader).items():
                melody = heard.melody(reader, config)
                figures = melody_scores(contour, melody) | note_scores(truth.melody, melody)
                row = {k: figures[k] for k in ("rca", "false_alarm", "onset_f")}
                rows.setdefault((f"melody of {reader}", name, kind), []).append(row)
        print(kind, truth.duration_s, flush=True)
    for path in real_songs():
        with hearing.heard(path) as sound:
            heard = hear(sound.analysis, cover.transcribe(sound, Settings()))
            frames = chroma(sound.analysis.samples[0])
        for name, found in decoded(heard):
            none = sum(c.end_s - c.start_s for c in found if c.symbol == "N") / found[-1].end_s
            row = {"explained": explained(found, heard.grid[0], frames), "no_chord": none, "hasty": hasty(found)}
            rows.setdefault(("chords", name, "real"), []).append(row)
        print(path.name, flush=True)
    tables: dict[str, dict[str, dict[str, Row]]] = {}
    for (table, name, kind), figures in rows.items():
        tables.setdefault(table, {}).setdefault(name, {})[kind] = means(figures)
    for table, settings in tables.items():
        for name, kinds in settings.items():
            print(f"{table:18} {name:28}", *(f"{k} {v}" for k, v in kinds.items()))
    counts = {kind: len(figures) for (_, _, kind), figures in rows.items()}
    by_fifth = {
        f"{k / 5:g} to {(k + 1) / 5:g}": {"of_the_time": round(s / sure[:, 0].sum(), 4), "root_right": round(r / s, 4)}
        for k, (s, r) in enumerate(sure)
        if s
    }
    record("reader_weights", {"songs": counts, "certainty": by_fifth, **tables})


if __name__ == "__main__":
    main()
