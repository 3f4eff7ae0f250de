"""Style files: strict, complete, and each cover made with them has the style's statistics."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest

from contrafact import style
from contrafact.config import from_mapping
from contrafact.data import corpus, pop909
from contrafact.errors import SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.metrics.style import COLUMNS, score_all, statistics
from contrafact.metrics.style_statistics import harmony
from contrafact.mixer import Channel
from contrafact.registry import ARRANGERS, HARMONIZERS, PLAYERS
from contrafact.score import Score
from contrafact.style import Style
from contrafact.theory.reharmonize import PROFILES

SONGS = ("017", "027", "047", "057", "067", "077", "087", "107", "137", "167")
NEARLY = 0.06
"""Distance from a range, in half widths, at which nobody would call it a fault."""


@pytest.mark.parametrize("name", style.names())
def test_a_style_names_what_exists_and_mixes_every_part(name: str) -> None:
    chosen = style.load(name)
    assert chosen.summary
    assert {chosen.column, chosen.column_in_three} <= set(COLUMNS)
    assert chosen.harmony in PROFILES
    assert chosen.harmonizer in ("", *HARMONIZERS.names())
    assert chosen.arranger in ARRANGERS.names()
    assert {p.player for p in chosen.parts} <= set(PLAYERS.names())
    by_players = {p.name for p in chosen.parts}
    if chosen.arranger == "band":
        assert chosen.parts[0].name == "melody"
        assert set(chosen.mix.channels) == by_players
    else:
        assert set(chosen.mix.channels) > by_players, "the arranger has parts of its own"
    assert chosen.channel("nobody") == Channel()


def test_the_styles_are_those_that_are_promised() -> None:
    assert style.names() == [
        "ballad",
        "bossa-nova",
        "cyclegan-jazz",
        "jazz-piano",
        "jazz-trio",
        "jazz-waltz",
        "pop-piano",
        "ragtime",
    ]
    assert all(f.name.endswith((".toml", ".py", "__pycache__")) for f in files("contrafact.styles").iterdir())


def test_an_unknown_style_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="jazz-trio"):
        style.load("jazz-tri")


@pytest.mark.parametrize(
    ("key", "value"), [("tempo", [1.0, 2.0]), ("tempo_bpm", [200.0, 100.0]), ("metre", "5/4"), ("parts", "piano")]
)
def test_a_wrong_style_file_is_refused(key: str, value: object) -> None:
    right = {
        "title": "t", "summary": "s", "parts": [], "tempo_bpm": [100.0, 200.0], "swing": 1.0,
        "column": "trio swing", "column_in_three": "waltz", "harmony": "swing",
    }  # fmt: skip
    assert from_mapping(Style, right).title == "t"
    with pytest.raises(SettingsError):
        from_mapping(Style, right | {key: value})


def true_sheet(name: str) -> LeadSheet:
    """A song of pop909 as its own annotation has it, its form in stretches of 16 bars."""
    song = pop909.read(name)
    part = song.score.part("melody")
    assert part is not None
    duration_s = max(song.score.end_s, float(song.grid.beats_s[-1])) + 1
    notes = [
        n for a, n in pairwise([None, *part.notes]) if n is not None and (a is None or n.onset_s > a.onset_s + 0.03)
    ]
    ends = [n.onset_s for n in notes[1:]] + [duration_s]
    melody = tuple(
        MelodyNote(n.onset_s, min(n.duration_s, e - n.onset_s), n.pitch) for n, e in zip(notes, ends, strict=True)
    )
    downbeats = song.grid.beats_s[song.grid.downbeats]
    edges = [0.0, *(float(d) for d in downbeats[16:-8:16]), duration_s]
    sections = tuple(Section(a, b, "AABA"[i % 4]) for i, (a, b) in enumerate(pairwise(edges)))
    chords: list[Chord] = []
    for c in song.chords:
        at = chords[-1].end_s if chords else 0.0
        if c.start_s > at + 1e-3:
            chords.append(Chord(at, c.start_s, "N"))
        chords.append(replace(c, start_s=chords[-1].end_s if chords else 0.0))
    return LeadSheet(duration_s, song.grid.beats_s, downbeats, song.metre, song.key, tuple(chords), melody, sections)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in style.names() if style.load(name).arranger == "band"])
def test_covers_of_real_songs_have_the_statistics_of_their_style(name: str) -> None:
    """Over ten songs every row is in range (or nearly) on eight or more, and the joint score is high on all.

    Rows of harmony are those of the song, not of the style, where the style keeps the song's own chords.
    """
    if not (corpus.data_folder() / "pop909").is_dir():
        pytest.skip("pop909 is not in CONTRAFACT_DATA")
    band, chosen = ARRANGERS.build("band", style=name), style.load(name)
    faults: dict[str, int] = {}
    for song in SONGS:
        original = true_sheet(song)
        made = band(original, Score(()), 1)
        found = score_all(statistics(made.sheet, made.score, original), chosen.column_for(made.sheet.metre))
        assert found.total >= 0.85, song
        for row, distance in found.distances.items():
            is_given = not chosen.harmonizer and row in {*harmony(original), "avoid_note_beats"}
            faults[row] = faults.get(row, 0) + (distance > NEARLY and not is_given)
    assert len(faults) >= 14
    assert max(faults.values()) <= 2, {row: n for row, n in faults.items() if n}
    assert np.sum(list(faults.values())) <= 10
