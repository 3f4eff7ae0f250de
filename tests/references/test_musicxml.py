"""What we write as MusicXML, music21 reads back: same pitches, same places, full bars."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

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


def is_symbol(element) -> bool:
    return isinstance(element, music21.harmony.ChordSymbol)


def heard(part) -> list[tuple[int, float, float]]:
    """(pitch, onset, length) in quarters of all notes of a part or a staff, ties joined."""
    joined = part.stripTies()
    notes = [n for n in joined.recurse().notes if not is_symbol(n)]
    return sorted(
        (p.midi, float(n.getOffsetInHierarchy(joined)), float(n.quarterLength)) for n in notes for p in n.pitches
    )


def bars_are_full(score):
    for part in score.parts:
        for measure in part.getElementsByClass("Measure"):
            length = measure.barDuration.quarterLength - measure.paddingLeft
            assert measure.duration.quarterLength == length, measure
            written = [e for e in measure.recurse().notesAndRests if not is_symbol(e)]
            assert music21.common.opFrac(sum(e.quarterLength for e in written)) == length, measure
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
    right, left, _ = score.parts
    assert {n.pitch for n in notes} == {pitch for pitch, _, _ in heard(right) + heard(left)}
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


def heads(path: Path) -> list[ElementTree.Element]:
    return [n for n in ElementTree.parse(path).iter("note") if n.find("rest") is None]


@pytest.mark.parametrize("key", ["F:maj", "D:min", "E:maj", "Ab:maj", "C:maj", "C#:min", "N"])
def test_accidentals_stand_where_music21_would_put_them(tmp_path, key):
    draw = np.random.default_rng(0)
    starts = np.cumsum(draw.choice([0.25, 0.5, 1.0, 1.5, 3.0], 80)) * BEAT_S
    pitches = 60 + draw.integers(0, 12, 80)
    tune = [MelodyNote(float(a), float(b - a), int(p)) for a, b, p in zip(starts, starts[1:], pitches, strict=False)]
    write_leadsheet(sheet(bars=int(starts[-1] / BEAT_S) // 4 + 2, melody=tune, key=key), tmp_path / "x.musicxml", "x")
    ours = [head.findtext("accidental") for head in heads(tmp_path / "x.musicxml") if head.find("tie") is None]
    part = read(tmp_path / "x.musicxml").parts[0]
    notes = [n for n in part.recurse().notes if not is_symbol(n)]
    for note in notes:
        if note.pitch.accidental is not None:
            note.pitch.accidental.displayStatus = None
    part.makeAccidentals(inPlace=True, overrideStatus=True, cautionaryNotImmediateRepeat=False)
    free = [n.pitch.accidental for n in notes if n.tie is None]
    theirs = [a.name if a is not None and a.displayStatus else None for a in free]
    assert ours == theirs
    assert sum(name is not None for name in ours) > 10


def test_an_accidental_is_told_anew_behind_a_tie_over_the_bar_line(tmp_path):
    tune = [(3.0, 2.0, 66), (5.0, 1.0, 66), (6.0, 1.0, 66), (7.0, 1.0, 65), (8.0, 1.0, 65), (9.0, 1.0, 65)]
    melody = [MelodyNote(at * BEAT_S, length * BEAT_S, pitch) for at, length, pitch in tune]
    write_leadsheet(sheet(melody=melody, key="C:maj"), tmp_path / "x.musicxml", "x")
    told = [head.findtext("accidental") for head in heads(tmp_path / "x.musicxml")]
    assert told == ["sharp", None, "sharp", None, "natural", None, None]


def test_flagged_notes_are_joined_within_a_beat(tmp_path):
    lengths = [0.5, 0.5, 0.25, 0.5, 0.25, 0.25, 0.75, 1 / 3, 1 / 3, 1 / 3, 0.5, 1.0, 0.5]
    at = np.cumsum([0, *lengths])
    tune = [MelodyNote(float(a) * BEAT_S, length * BEAT_S, 72) for a, length in zip(at, lengths, strict=False)]
    write_leadsheet(sheet(bars=2, melody=tune), tmp_path / "x.musicxml", "x")
    found = [[b.text for b in head.findall("beam")] for head in heads(tmp_path / "x.musicxml")]
    eighths, syncopated = [["begin"], ["end"]], [["begin", "forward hook"], ["continue"], ["end", "backward hook"]]
    dotted, triplet = [["begin", "forward hook"], ["end"]], [["begin"], ["continue"], ["end"]]
    across = [*eighths, *eighths]  # an eighth, a quarter across the beat, an eighth
    assert found == [*eighths, *syncopated, *dotted, *triplet, *across]


def test_a_tune_has_one_note_at_a_time(tmp_path):
    """Where two come so close that they would be written on one place, the longer stays."""
    tune = [MelodyNote(0.0, 0.5, 60), MelodyNote(0.5, 0.03, 66), MelodyNote(0.53, 0.47, 67), MelodyNote(1.0, 1.0, 69)]
    write_leadsheet(sheet(melody=tune), tmp_path / "x.musicxml", "x")
    assert heard(read(tmp_path / "x.musicxml").parts[0]) == [(60, 0.0, 1.0), (67, 1.0, 1.0), (69, 2.0, 2.0)]


def test_a_chord_that_ends_before_the_first_beat_leaves_its_place_to_the_next(tmp_path):
    late = replace(sheet(chords=[Chord(0, 0.2, "N"), Chord(0.2, 8, "F:maj")]), beats_s=0.2 + np.arange(16) * BEAT_S)
    write_leadsheet(replace(late, downbeats_s=late.beats_s[::4]), tmp_path / "x.musicxml", "x")
    harmonies = list(ElementTree.parse(tmp_path / "x.musicxml").iter("harmony"))
    assert [h.findtext("root/root-step") for h in harmonies] == ["F"]


def test_chords_that_are_guesses_have_a_question_mark_in_a_lead_sheet_alone(tmp_path):
    chords = [Chord(0, 2, "F:maj", 0.1), Chord(2, 4, "D:min7", 0.19), Chord(4, 6, "C:7", 0.2), Chord(6, 8, "N", 0.0)]
    heard_sheet = sheet(chords=chords)
    write_leadsheet(heard_sheet, tmp_path / "x.musicxml", "x")
    write_score(heard_sheet, Score((Part("piano", 0, (Note(0, 1, 60, 80),)),)), tmp_path / "y.musicxml", "y")
    for name, texts in (("x", ["?", "m7?", "7", "N.C."]), ("y", ["", "m7", "7", "N.C."])):
        kinds = [k.get("text") for k in ElementTree.parse(tmp_path / f"{name}.musicxml").iter("kind")]
        assert kinds == texts


def test_the_bass_of_a_chord_is_its_degree(tmp_path):
    write_leadsheet(sheet(chords=[Chord(0, 8, "A:maj/3")], key="F:maj"), tmp_path / "x.musicxml", "Tune")
    assert next(iter(read(tmp_path / "x.musicxml").recurse().getElementsByClass("ChordSymbol"))).bass().name == "C#"


@pytest.mark.parametrize(
    ("metre", "swing", "quarters"), [("4/4", 0.5, 1.0), ("4/4", 0.64, 1.0), ("3/4", 0.5, 1.0), ("6/8", 0.5, 1.5)]
)
def test_two_hands_come_back_on_two_staves_at_their_places_with_their_lengths(tmp_path, metre, swing, quarters):
    """Each hand has its rhythm, with triplets, off-beats and notes across bar lines, and rests when it is done."""
    rhythms = ([1 / 3] * 3 + [0.5, 0.5, 1.5, 0.5, 3], [72, 76]), ([3, 1, 2.5, 0.5], [43, 50])
    notes, expected = [], []
    for lengths, pitches in rhythms:
        written = np.round(np.cumsum([0, *lengths, *lengths]) * 6) / 6
        played = np.floor(written) + np.where(np.isclose(written % 1, 0.5), swing, written % 1)
        hand = []
        for i, (start, end) in enumerate(zip(played[:-1] * BEAT_S, played[1:] * BEAT_S, strict=True)):
            chord = [pitches[0] + i % 5, pitches[1] + i % 5]
            notes += [Note(float(start), float(end - start) - 0.02, pitch, 80) for pitch in chord]
            hand += [(p, written[i] * quarters, (written[i + 1] - written[i]) * quarters) for p in chord]
        expected.append(sorted(hand))
    song = sheet(metre, bars=10)
    pair = (Part("piano", 0, tuple(notes)), Part("vibraphone", 11, tuple(notes)))
    write_score(song, Score(pair), tmp_path / "x.musicxml", "Hands")
    score = read(tmp_path / "x.musicxml")
    right, left, single = score.parts
    for staff, notes_of_hand in zip((right, left), expected, strict=True):
        assert np.array(heard(staff)) == pytest.approx(np.array(notes_of_hand))
    assert sorted(n[:2] for n in heard(right) + heard(left)) == [n[:2] for n in heard(single)]
    piano = ElementTree.parse(tmp_path / "x.musicxml").find("part")
    assert {(n.findtext("staff"), n.findtext("voice")) for n in piano.iter("note")} == {("1", "1"), ("2", "5")}
    bars_are_full(score)


@pytest.mark.parametrize(
    ("chord", "right"),
    [
        ((60, 67), (60, 67)),
        ((52, 59), ()),
        ((36, 48, 60, 64), (60, 64)),
        ((57, 60, 64, 69), (57, 60, 64, 69)),
        ((53, 60, 64, 72), (53, 60, 64, 72)),
        ((52, 60, 64, 69), (60, 64, 69)),
        ((53, 60, 64, 73), (60, 64, 73)),
        ((48, 55, 64, 67), ()),
        ((47, 55, 64, 67), (64, 67)),
        ((50, 53, 60, 68), (60, 68)),
        ((48, 60, 62), ()),
        ((47, 60, 62), (60, 62)),
    ],
)
def test_a_chord_near_middle_c_stays_in_one_hand(tmp_path, chord, right):
    notes = [Note(0, BEAT_S, p, 80) for p in chord] + [Note(4 * BEAT_S, BEAT_S, p, 80) for p in (36, 96)]
    write_score(sheet(), Score((Part("piano", 0, tuple(notes)),)), tmp_path / "x.musicxml", "Chord")
    hands = [tuple(p for p, at, _ in heard(staff) if at == 0) for staff in read(tmp_path / "x.musicxml").parts]
    assert hands == [right, tuple(p for p in chord if p not in right)]


@pytest.mark.parametrize(
    ("name", "program", "pitches", "clefs"),
    [
        ("piano", 0, (52, 68), ["TrebleClef", "BassClef"]),
        ("piano", 7, (52, 68), ["TrebleClef", "BassClef"]),
        ("piano", 0, (53, 68), ["TrebleClef"]),
        ("piano", 0, (52, 67), ["BassClef"]),
        ("melody", 0, (36, 90), ["TrebleClef"]),
        ("vibraphone", 8, (36, 90), ["TrebleClef"]),
        ("melody", 66, (56, 57, 64), ["BassClef"]),
        ("melody", 66, (56, 60, 64), ["TrebleClef"]),
        ("bass", 32, (31, 36, 43), ["BassClef"]),
        ("guitar", 24, (50, 55, 59), ["Treble8vbClef"]),
        ("guitar", 31, (50, 55, 59), ["Treble8vbClef"]),
        ("drums", 0, (36, 49), ["PercussionClef"]),
        ("piano", 0, (), ["TrebleClef"]),
    ],
)
def test_every_part_has_the_clefs_of_its_range(tmp_path, name, program, pitches, clefs):
    notes = tuple(Note(i * BEAT_S, BEAT_S, p, 80) for i, p in enumerate(pitches))
    part = Part(name, program, notes, is_drums=name == "drums")
    write_score(sheet(), Score((part,)), tmp_path / "x.musicxml", "Clefs")
    score = read(tmp_path / "x.musicxml")
    assert [[type(c).__name__ for c in p.recurse().getElementsByClass("Clef")] for p in score.parts] == [
        [clef] for clef in clefs
    ]
    pitched = [p for staff in score.parts for p, _, _ in heard(staff)] if name != "drums" else list(pitches)
    assert sorted(pitched) == list(pitches), "an octave clef moves no pitch"


def test_symbols_and_sections_stand_over_the_upper_staff(tmp_path):
    chords = [Chord(i / 2, i / 2 + 0.5, symbol) for i, symbol in enumerate(["F:maj7", "D:min7"] * 8)]
    notes = tuple(Note(i, 1, pitch, 80) for i, pitch in enumerate([40, 80] * 4))
    write_score(sheet(chords=chords), Score((Part("piano", 0, notes),)), tmp_path / "x.musicxml", "Symbols")
    upper, lower = read(tmp_path / "x.musicxml").parts
    symbols = list(upper.recurse().getElementsByClass("ChordSymbol"))
    assert [h.getOffsetInHierarchy(upper) for h in symbols] == list(range(16))
    assert [m.content for m in upper.recurse().getElementsByClass("RehearsalMark")] == ["A", "B"]
    assert not list(lower.recurse().getElementsByClass(["ChordSymbol", "RehearsalMark", "MetronomeMark"]))
