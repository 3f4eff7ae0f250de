"""What we write as MusicXML, music21 reads back: same pitches, same places, full bars."""

from pathlib import Path

import numpy as np
import pytest

from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.musicxml import write_leadsheet, write_score
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import spell

music21 = pytest.importorskip("music21")
BEAT_S = 0.5


def sheet(metre="4/4", bars=4, melody=(), chords=None, first_downbeat=0, key="F:maj"):
    per_bar = {"4/4": 4, "3/4": 3, "6/8": 2}[metre]
    beats = np.arange(first_downbeat + bars * per_bar) * BEAT_S
    end = len(beats) * BEAT_S
    return LeadSheet(
        duration_s=end,
        beats_s=beats,
        downbeats_s=beats[first_downbeat::per_bar],
        metre=metre,
        key=key,
        chords=tuple(chords or [Chord(0, end, "F:maj")]),
        melody=tuple(melody),
        sections=(Section(0, end / 2, "A"), Section(end / 2, end, "B")),
    )


def read(path: Path):
    return music21.converter.parse(path, format="musicxml")


def bars_are_full(score):
    for part in score.parts:
        for measure in part.getElementsByClass("Measure"):
            length = measure.barDuration.quarterLength - measure.paddingLeft
            assert measure.duration.quarterLength == length, measure
            assert measure.paddingLeft == 0 or measure.number == 0, measure


@pytest.mark.parametrize(("metre", "quarters"), [("4/4", 1.0), ("3/4", 1.0), ("6/8", 1.5)])
def test_straight_melody_comes_back_at_its_place(tmp_path, metre, quarters):
    melody = [MelodyNote(i * BEAT_S, BEAT_S * 0.95, 60 + i) for i in range(6)]
    write_leadsheet(sheet(metre, melody=melody), tmp_path / "x.musicxml", "Tune")
    score = read(tmp_path / "x.musicxml")
    heard = [n for n in score.recurse().notes if n.isNote and (n.tie is None or n.tie.type == "start")]
    assert [n.pitch.midi for n in heard] == [60, 61, 62, 63, 64, 65]
    assert [n.getOffsetInHierarchy(score) for n in heard] == [i * quarters for i in range(6)]
    bars_are_full(score)


def test_swung_offbeats_are_written_as_eighths_and_triplets_as_triplets(tmp_path):
    swung = [Note((i // 2 + (0.64 if i % 2 else 0.01)) * BEAT_S, 0.15, 70, 80) for i in range(8)]
    triplet = [Note((4 + i / 3) * BEAT_S, 0.1, 72, 80) for i in range(6)]
    write_score(sheet(), Score((Part("melody", 0, (*swung, *triplet)),)), tmp_path / "x.musicxml", "Swing")
    score = read(tmp_path / "x.musicxml")
    offsets = [float(n.getOffsetInHierarchy(score)) for n in score.recurse().notes if n.isNote]
    assert offsets[:8] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert offsets[8:] == pytest.approx([4 + i / 3 for i in range(6)])
    bars_are_full(score)


@pytest.mark.parametrize("seed", range(8))
def test_any_performance_gives_full_bars_and_keeps_every_pitch(tmp_path, seed):
    rng = np.random.default_rng(seed)
    notes = [
        Note(float(t), float(d), int(p), 80)
        for t, d, p in zip(rng.uniform(0, 7.8, 60), rng.uniform(0.02, 1.5, 60), rng.integers(30, 90, 60), strict=True)
    ]
    parts = (
        Part("piano", 0, tuple(notes)),
        Part("drums", 32, tuple(Note(n.onset_s, 0.1, 36 + n.pitch % 16, 90) for n in notes), is_drums=True),
    )
    write_score(sheet(first_downbeat=seed % 3), Score(parts), tmp_path / "x.musicxml", "Any")
    score = read(tmp_path / "x.musicxml")
    written = [n for n in score.parts[0].recurse().notes if not isinstance(n, music21.harmony.ChordSymbol)]
    pitches = {p.midi for n in written for p in n.pitches}
    assert {n.pitch for n in notes} == pitches
    bars_are_full(score)


@pytest.mark.parametrize(
    ("metre", "beats", "quarters"),
    [("4/4", 1, 1.0), ("4/4", 3, 1.0), ("3/4", 2, 1.0), ("6/8", 1, 1.5), ("4/4", 6, 1.0)],
)
def test_a_pickup_is_bar_zero_in_the_metre_of_the_song(tmp_path, metre, beats, quarters):
    """With six beats before the first bar line there are a pickup of two and a bar of four."""
    per_bar = {"4/4": 4, "3/4": 3, "6/8": 2}[metre]
    song = sheet(metre, first_downbeat=beats, melody=[MelodyNote(i * BEAT_S, BEAT_S * 0.95, 60 + i) for i in range(9)])
    write_leadsheet(song, tmp_path / "lead.musicxml", "Tune")
    parts = (Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch, 80) for n in song.melody)),) * 2
    write_score(song, Score(parts), tmp_path / "score.musicxml", "Tune")
    for name in ("lead", "score"):
        score = read(tmp_path / f"{name}.musicxml")
        assert 'number="0" implicit="yes"' in (tmp_path / f"{name}.musicxml").read_text()
        for part in score.parts:
            bars = list(part.getElementsByClass("Measure"))
            assert [bar.number for bar in bars] == list(range(len(bars)))
            assert bars[0].duration.quarterLength == beats % per_bar * quarters
            assert bars[0].paddingLeft == (per_bar - beats % per_bar) * quarters
            assert [bar.offset for bar in bars[1:]] == [
                (beats % per_bar + i * per_bar) * quarters for i in range(len(bars) - 1)
            ]
            assert [m.ratioString for m in part.recurse().getElementsByClass("TimeSignature")] == [metre]
            heard = [n for n in part.recurse().notes if n.isNote and (n.tie is None or n.tie.type == "start")]
            assert [n.getOffsetInHierarchy(score) for n in heard] == [i * quarters for i in range(9)]
        bars_are_full(score)


def test_a_song_that_starts_on_one_has_no_pickup(tmp_path):
    write_leadsheet(sheet(), tmp_path / "x.musicxml", "Tune")
    assert "implicit" not in (tmp_path / "x.musicxml").read_text()
    assert [bar.number for bar in read(tmp_path / "x.musicxml").parts[0].getElementsByClass("Measure")] == [1, 2, 3, 4]


def test_chord_symbols_sections_and_key_come_back(tmp_path):
    symbols = ["F:maj7", "D:min7", "G:7(b9,b13)", "C:13", "A:hdim7", "B:dim7", "Bb:maj6(9)", "N"]
    chords = [Chord(i, i + 1, s) for i, s in enumerate(symbols)]
    write_leadsheet(sheet(chords=chords), tmp_path / "x.musicxml", "Chords & <signs>\x00")
    score = read(tmp_path / "x.musicxml")
    harmonies = list(score.recurse().getElementsByClass("ChordSymbol"))
    kinds = [h.chordKind for h in harmonies]
    assert kinds == [
        "major-seventh",
        "minor-seventh",
        "dominant-seventh",
        "dominant-13th",
        "half-diminished-seventh",
        "diminished-seventh",
        "major-sixth",
        "none",
    ]
    assert [h.root().name for h in harmonies[:7]] == ["F", "D", "G", "C", "A", "B", "B-"]
    assert [m.content for m in score.recurse().getElementsByClass("RehearsalMark")] == ["A", "B"]
    assert next(iter(score.recurse().getElementsByClass("KeySignature"))).sharps == -1


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("C:maj", ["B-4", "E-5", "F#5"]),
        ("A:min", ["G#4", "D#5", "B-5"]),
        ("Gb:maj", ["C-5", "B-5", "C6"]),
        ("F#:maj", ["E#4", "B4", "D5"]),
    ],
)
def test_melody_and_chords_are_spelled_alike(tmp_path, key, names):
    pitches = [music21.pitch.Pitch(name) for name in names]
    melody = [MelodyNote(i * BEAT_S, BEAT_S * 0.95, int(p.midi)) for i, p in enumerate(pitches)]
    chords = [Chord(i, i + 1, f"{spell(int(p.midi), key)}:min7/b7") for i, p in enumerate(pitches)]
    write_leadsheet(sheet(melody=melody, chords=chords, key=key), tmp_path / "x.musicxml", "Tune")
    score = read(tmp_path / "x.musicxml")
    assert [n.nameWithOctave for n in score.recurse().notes if n.isNote] == names
    harmonies = list(score.recurse().getElementsByClass("ChordSymbol"))
    assert [h.root().name for h in harmonies] == [p.name for p in pitches]


def test_the_bass_of_a_chord_is_its_degree(tmp_path):
    write_leadsheet(sheet(chords=[Chord(0, 8, "A:maj/3")], key="F:maj"), tmp_path / "x.musicxml", "Tune")
    assert next(iter(read(tmp_path / "x.musicxml").recurse().getElementsByClass("ChordSymbol"))).bass().name == "C#"
