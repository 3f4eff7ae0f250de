"""Lead-sheet JSON: what we write we read back; what a user may have broken is refused with its place."""

import json
from dataclasses import replace

import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.cover import read_leadsheet
from contrafact.errors import SettingsError
from contrafact.leadsheet import HARTE, Chord, LeadSheet, MelodyNote, Section, from_json, to_json
from contrafact.musicxml import write_leadsheet
from contrafact.report.facts import NO_MUSIC, UNSURE, content_doubts, doubts, style_doubts, unplayed
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse

mir_chord = pytest.importorskip("mir_eval").chord


def sheet() -> LeadSheet:
    beats = np.arange(16) * 0.5
    return LeadSheet(
        duration_s=8.0,
        beats_s=beats,
        downbeats_s=beats[1::4],
        metre="4/4",
        key="Bb:maj",
        chords=(Chord(0.0, 0.5, "N", 0.0), Chord(0.5, 4.0, "Bb:maj7", 0.9), Chord(4.0, 8.0, "F:7(b9,b13)/3", 0.5)),
        melody=(MelodyNote(0.5, 0.4, 70, 0.8), MelodyNote(1.0, 1.5, 74, 0.7)),
        sections=(Section(0.0, 4.0, "A"), Section(4.0, 8.0, "B")),
        confidence={"beats": 0.9},
    )


def edited(**changes) -> str:
    data = json.loads(to_json(sheet()))
    data.update(changes)
    return json.dumps(data)


def test_round_trip():
    back = from_json(to_json(sheet()))
    assert to_json(back) == to_json(sheet())
    assert back.chords == sheet().chords
    assert back.melody == sheet().melody
    assert back.sections == sheet().sections
    np.testing.assert_allclose(back.beats_s, sheet().beats_s, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"beats_s": [0.0, 1.0, 0.5]}, "beats_s"),
        ({"beats_s": [1.0]}, "beats_s"),
        ({"beats_s": [0.0, float("nan"), 2.0]}, "beats_s"),
        ({"downbeats_s": [0.25]}, "downbeats_s"),
        ({"metre": "5/4"}, "metre"),
        ({"key": "H:dur"}, "key"),
        ({"chords": [{"start_s": 0, "end_s": 8, "symbol": "Hm7"}]}, "chords[0].symbol"),
        ({"chords": [{"start_s": 2, "end_s": 1, "symbol": "C:maj"}]}, "chords[0]"),
        ({"chords": [{"start_s": 0, "end_s": 8}]}, "chords[0]"),
        ({"chords": [{"start_s": 9, "end_s": 10, "symbol": "C:maj"}]}, "chords[0]"),
        ({"melody": [{"onset_s": 0, "duration_s": 1, "pitch": 200}]}, "melody[0]"),
        ({"melody": [{"onset_s": 99, "duration_s": 1, "pitch": 60}]}, "melody[0]"),
        ({"melody": [{"onset_s": 0, "duration_s": -1, "pitch": 60}]}, "melody[0]"),
        ({"melody": [{"onset_s": 0, "duration_s": 1, "pitch": 60.5}]}, "pitch"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 1e9}, "duration_s"),
        ({"duration_s": 10**400}, "duration_s"),
        ({"tempo_bpm": 10**400}, "tempo_bpm"),
        ({"tempo_bpm": "fast"}, "tempo_bpm"),
        ({"beats_s": [0, 10**400]}, "beats_s[1]"),
        ({"tempo": 120}, "tempo"),
        ({"sections": [{"start_s": -1, "end_s": 8, "label": "A"}]}, "sections[0]"),
    ],
)
def test_nonsense_is_refused_with_its_place(changes, word):
    with pytest.raises(SettingsError) as caught:
        from_json(edited(**changes))
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("tempo_bpm", "is_right"), [(120, True), (121, True), (121.3, False), (140, False), (float("nan"), False)]
)
def test_a_tempo_that_the_beats_do_not_have_is_refused(tempo_bpm, is_right):
    if is_right:
        assert from_json(edited(tempo_bpm=tempo_bpm)).tempo_bpm == pytest.approx(120)
        return
    with pytest.raises(SettingsError, match=r"tempo_bpm is .*120\.0 beats a minute.*--tempo BPM"):
        from_json(edited(tempo_bpm=tempo_bpm))


def test_beats_may_be_edited_where_no_tempo_is_told():
    data = json.loads(edited(beats_s=[float(t) for t in range(8)], downbeats_s=[0.0, 4.0]))
    del data["tempo_bpm"]
    assert from_json(json.dumps(data)).tempo_bpm == pytest.approx(60)


def test_the_printed_lead_sheet_is_told_from_the_one_to_edit(tmp_path):
    write_leadsheet(sheet(), tmp_path / "x.musicxml", "Tune")
    with pytest.raises(SettingsError, match=r"is MusicXML.*contrafact leadsheet SONG -o X\.json") as caught:
        read_leadsheet(tmp_path / "x.musicxml")
    assert "--leadsheet" not in str(caught.value), "which arrange does not have"


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"', "{}"])
def test_what_is_no_lead_sheet_is_refused(text):
    with pytest.raises(SettingsError):
        from_json(text)


def test_gaps_and_overlaps_of_an_edited_sheet_are_closed():
    back = from_json(
        edited(
            chords=[
                {"start_s": 5.0, "end_s": 7.0, "symbol": "C:maj"},
                {"start_s": 1.0, "end_s": 5.5, "symbol": "G:7"},
            ],
            melody=[{"onset_s": 1, "duration_s": 3, "pitch": 60}, {"onset_s": 2, "duration_s": 1, "pitch": 62}],
            sections=[],
        )
    )
    assert [(c.start_s, c.end_s, c.symbol) for c in back.chords] == [
        (0.0, 1.0, "N"),
        (1.0, 5.0, "G:7"),
        (5.0, 7.0, "C:maj"),
        (7.0, 8.0, "N"),
    ]
    assert [n.duration_s for n in back.melody] == [1.0, 1.0]
    assert [(s.start_s, s.end_s) for s in back.sections] == [(0.0, 8.0)]


SYMBOLS = [
    f"{root}{kind}{bass}"
    for root in ("C", "Bb", "F#")
    for kind in (
        "",
        ":maj",
        ":min7",
        ":7(b9,b13)",
        ":maj9(#11)",
        ":hdim7",
        ":dim7",
        ":sus4(b7,9,13)",
        ":maj6(9)",
        ":(1,5)",
    )
    for bass in ("", "/3", "/b7")
]


@pytest.mark.parametrize("symbol", ["N", *SYMBOLS])
def test_the_grammar_admits_what_mir_eval_and_theory_understand(symbol):
    assert HARTE.fullmatch(symbol)
    mir_chord.encode(symbol)
    if ":(" not in symbol:
        parse(symbol)


@pytest.mark.parametrize("symbol", ["", "H", "C:", "C:foo", "C:maj7(", "Cmaj7", "C:maj/", "c:maj", "C:6(9)"])
def test_the_grammar_refuses_what_mir_eval_refuses(symbol):
    assert not HARTE.fullmatch(symbol)
    with pytest.raises(mir_chord.InvalidChordException):
        mir_chord.encode(symbol) if symbol else mir_chord.encode("?")


@pytest.mark.parametrize(
    ("score", "other", "word"),
    [
        (0.9, 0.3, ""),
        (None, 0.3, ""),
        (0.5, 0.3, "little"),
        (0.5, 0.9, "little"),
        (0.9, 0.9, "nothing"),
        (0.9, None, ""),
    ],
)
def test_a_style_score_is_doubted_where_it_is_low_or_others_have_it(score, other, word) -> None:
    told = style_doubts(score, other)
    assert len(told) == bool(word)
    assert word in "".join(told)


def test_a_cover_that_pauses_while_its_song_plays_on_says_so() -> None:
    rate = 8_000
    part = Part("piano", 0, (Note(0, 10, 60, 80), Note(1, 1, 64, 80), Note(19, 1, 60, 80), Note(24, 1, 60, 80)))
    score = Score((part,))
    playing = 0.1 * np.sin(np.arange(25 * rate)).astype(np.float32)[None]
    told = unplayed(score, Audio(playing, rate))
    assert len(told) == 1
    assert "from 0:10 to 0:19:" in told[0]
    resting = playing.copy()
    resting[:, 10 * rate : 19 * rate] *= 0.05
    assert not unplayed(score, Audio(resting, rate))
    assert not unplayed(Score(()), Audio(playing, rate))


def test_doubts_name_what_is_missing_once() -> None:
    sure = replace(sheet(), confidence={"melody": 0.9, "chords": 0.9, "beats": 0.9})
    assert doubts(sure) == []
    assert ["melody" in d for d in doubts(replace(sure, confidence={"melody": 0.1}))] == [True]
    assert doubts(replace(sure, confidence=dict.fromkeys(("beats", "key", "melody", "chords"), 0.1))) == [NO_MUSIC]
    assert len(doubts(replace(sure, confidence=dict.fromkeys(("beats", "melody", "chords"), 0.1)))) == 3
    assert len(doubts(replace(sure, confidence=dict.fromkeys(("key", "melody", "chords"), 0.1)))) == 3
    for asked_bpm in (None, 120.0):  # a lead sheet of the user's, a tempo that was asked for
        assert NO_MUSIC not in doubts(replace(sure, confidence=dict.fromkeys(UNSURE, 0.1)), asked_bpm)
    for length, said in ((0.3, []), (1.5, ["guessed in 40% of the time", "from 1:01 to 1:02"])):
        chords = [Chord(0, 61, "N"), Chord(61, 61 + length, "C:maj", 0.1), Chord(61 + length, 64, "F:maj", 0.9)]
        chords += [Chord(64, 67, "G:maj"), Chord(67, 67 + length, "C:min", 0.19), Chord(67 + length, 70, "N", 0.1)]
        told = doubts(replace(sure, chords=tuple(chords)))
        assert len(told) == bool(said)
        assert all(word in told[0] for word in said)
    for jump, said in ((12, 0), (13, 1)):
        two_voices = tuple(MelodyNote(0.2 * k, 0.2, 60 + jump * (k % 5 == 0)) for k in range(20))
        assert sum("two voices" in d for d in doubts(replace(sure, melody=two_voices))) == said
    for step, said in ((1, 0), (2, 1)):
        rising = tuple(MelodyNote(0.2 * k, 0.2, 50 + step * k) for k in range(20))
        assert sum("two voices" in d for d in doubts(replace(sure, melody=rising))) == said
    tuneless = replace(sure, melody=(), confidence={"melody": 0.0, "beats": 0.1})
    assert sum("melody" in d for d in doubts(tuneless)) == 1
    assert sum("beat" in d for d in doubts(tuneless)) == 1
    assert "harmony" in doubts(tuneless)[-1]
    drums = replace(tuneless, chords=(Chord(0.0, sure.duration_s, "N"),), confidence={"melody": 0.0, "chords": 0.0})
    assert ["chords" in d for d in doubts(drums)] == [True]
    assert "harmony" not in doubts(drums)[0]


def test_figures_that_another_song_would_equal_are_doubted() -> None:
    kept = {"chroma": 0.5, "chroma_other": 0.3, "melody_notes": 1.0, "melody_notes_other": 0.9}
    assert content_doubts(kept) == []
    assert content_doubts({"chroma": None, "chroma_other": 0.3, "melody_notes": 0.0, "melody_notes_other": 0.0}) == []
    (told,) = content_doubts(kept | {"melody_notes_other": 1.0})
    assert "melody as heard, notes kept" in told
    assert "chroma" not in told
    (told,) = content_doubts(kept | {"chroma": -0.1})
    assert "chroma" in told


def test_a_tempo_is_advised_where_it_may_be_given_and_missed_where_it_was() -> None:
    unsure = replace(sheet(), confidence={"beats": 0.1})
    assert ["--tempo" in d for d in doubts(unsure)] == [True]
    assert ["--tempo" in d for d in doubts(unsure, asked_bpm=118)] == [False]
    assert ["--tempo" in d for d in doubts(unsure, asked_bpm=None)] == [False]
    sure = replace(sheet(), confidence={"beats": 0.9})
    assert doubts(sure, asked_bpm=118) == []
    (told,) = doubts(sure, asked_bpm=60)
    assert "near 60 a minute; this one has 120.0" in told
