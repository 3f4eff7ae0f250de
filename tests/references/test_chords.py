"""Chord symbols against mir_eval's reading of Harte's syntax; voicings against sums worked out by hand."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest

from contrafact.errors import SettingsError
from contrafact.theory import swing
from contrafact.theory.chords import (
    SHORTHANDS,
    bass_name,
    build,
    display,
    fifths,
    key_name,
    parse,
    pitch_class,
    simplify,
    spell,
)
from contrafact.theory.progression import QUALITIES, specs, transitions
from contrafact.theory.scales import CHORD_SCALES, chord_scale, collection, local_keys
from contrafact.theory.voice_leading import clashes, movement
from contrafact.theory.voicings import (
    BOTTOM,
    LOW_LIMITS,
    ROOTLESS,
    clear,
    close_below,
    drop_two,
    rootless,
    sevenths,
    shells,
)

WRITTEN = ["C", "Bb:min/b3", "D#:maj6(9)", "G:7(b9,b13)", "F:maj9(#11)", "A:minmaj7(9)", "E:(1,b3,5)", "Gb:maj(*5,9)"]


def bitmap(symbol: str) -> list[int]:
    spec = parse(symbol)
    return [int(i in spec.intervals or i == spec.bass) for i in range(12)]


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_emitted_symbol_has_mir_evals_tones(quality: str) -> None:
    for root in range(12):
        symbol = build(root, quality, "Ab:maj")
        number, expected, bass = mir_eval.chord.encode(symbol, reduce_extended_chords=True)
        expected = expected.copy()
        if quality.endswith("13") and "(" not in quality:
            expected[5] = 0  # mir_eval writes the eleventh into a thirteenth chord, players leave it out
        assert (number, bass) == (root, 0)
        assert bitmap(symbol) == expected.tolist()


@pytest.mark.parametrize("shorthand", [s for s in SHORTHANDS if s and s not in ("maj11", "13", "maj13")])
def test_every_shorthand_has_mir_evals_tones(shorthand: str) -> None:
    _, expected, _ = mir_eval.chord.encode(f"D:{shorthand}", reduce_extended_chords=True)
    assert bitmap(f"D:{shorthand}") == expected.tolist()


@pytest.mark.parametrize("symbol", WRITTEN)
def test_degrees_omissions_and_basses(symbol: str) -> None:
    number, expected, bass = mir_eval.chord.encode(symbol, reduce_extended_chords=True)
    assert parse(symbol).root == number
    assert parse(symbol).bass == bass
    assert bitmap(symbol) == expected.tolist()


def test_nonsense_is_a_typed_error() -> None:
    for symbol in ("H:maj", "C:foo", "", "C:maj/", "c:min"):
        with pytest.raises(SettingsError, match="Harte"):
            parse(symbol)


def test_families_and_functions() -> None:
    families = {
        "C:maj9": "major",
        "C:min6(9)": "minor",
        "C:13": "dominant",
        "C:hdim7": "half-diminished",
        "C:dim7": "diminished",
        "C:aug": "augmented",
        "C:sus4(b7,9)": "suspended",
        "N": "none",
    }
    assert {s: parse(s).family for s in families} == families
    assert [s for s in families if parse(s).is_dominant] == ["C:13", "C:sus4(b7,9)"]
    assert not any(parse(f"C:{q}").is_rich for q in ("maj", "min", "aug", "sus4", "sus2"))
    assert all(parse(f"C:{q}").is_rich for q in QUALITIES)


def test_simplified_display_and_degrees() -> None:
    assert [simplify(s) for s in ("D:min9", "G:7(b9,b13)/3", "B:hdim7", "C:sus4(b7)", "N")] == [
        "D:min",
        "G:maj",
        "B:dim",
        "C:sus4",
        "N",
    ]
    assert [
        display(s) for s in ("C:maj9", "G:7(b9,b13)", "Bb:min7/b7", "F#:hdim7", "C:sus4(b7,9,13)", "C:maj6(9)")
    ] == [
        "Cmaj9",
        "G7♭9♭13",
        "B♭m7/A♭",
        "F♯m7♭5",
        "C13sus4",
        "C6/9",
    ]


def test_spelling_follows_the_key() -> None:
    for key in [f"{tonic}{sign}:{mode}" for tonic in "CDEFGAB" for sign in ("", "b", "#") for mode in ("maj", "min")]:
        names = [spell(pc, key) for pc in range(12)]
        assert [pitch_class(n) for n in names] == list(range(12))
        letters = [n[0] for pc, n in enumerate(names) if pc in collection(key)]
        assert len(set(letters)) == 7, key


CHROMATIC = {
    "C:maj": "C Db D Eb E F F# G Ab A Bb B",
    "A:min": "A Bb B C C# D D# E F F# G G#",  # its leading note is G#, and D# leads to E
    "D:min": "D Eb E F F# G G# A Bb B C C#",
    "Bb:maj": "Bb B C Db D Eb E F Gb G Ab A",  # Cb is not in the key
    "Gb:maj": "Gb G Ab A Bb Cb C Db D Eb E F",
    "F#:maj": "F# G G# A A# B C C# D D# E E#",
    "N": "C Db D Eb E F F# G Ab A Bb B",
}


@pytest.mark.parametrize("key", CHROMATIC)
def test_chromatic_notes_are_spelled_as_musicians_do(key: str) -> None:
    names = CHROMATIC[key].split()
    assert [spell(pitch_class(names[0]) + i, key) for i in range(12)] == names


def test_a_bass_is_spelled_by_its_degree() -> None:
    symbols = ["A:maj/3", "D:7/b7", "Ab:min/b3", "Gb:min/b3", "F#:maj/3", "C#:maj/3", "B:min/2", "Eb:maj"]
    assert [bass_name(s) for s in symbols] == ["C#", "C", "Cb", "A", "A#", "E#", "C#", "Eb"]


def test_keys_have_the_shorter_signature() -> None:
    names = [key_name(t, is_minor) for is_minor in (False, True) for t in range(12)]
    assert names[:12] == [f"{t}:maj" for t in ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")]
    assert names[12:] == [f"{t}:min" for t in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")]
    assert [fifths(k) for k in ("Gb:maj", "B:maj", "C#:min", "G#:maj", "Cb:min", "N")] == [-6, 5, 4, -4, 2, 0]


SHAPES = [
    # before, form, root; after, form, root; semitones that all voices move together
    ("m9", 0, 2, "13", 1, 7, 1),
    ("13", 1, 7, "maj9", 0, 0, 5),
    ("m7b5", 0, 11, "7b9b13", 1, 4, 2),
    ("7b9b13", 1, 4, "m6/9", 0, 9, 6),
    ("m7b5", 1, 11, "7#9b13", 0, 4, 4),
    ("7#9b13", 0, 4, "m6/9", 1, 9, 8),
]


@pytest.mark.parametrize(("name", "form", "root", "after", "after_form", "after_root", "total"), SHAPES)
def test_ii_v_i_moves_as_little_as_it_should(name, form, root, after, after_form, after_root, total) -> None:
    before = tuple(48 + root + s for s in ROOTLESS[name][form])
    options = [tuple(o + after_root + s for s in ROOTLESS[after][after_form]) for o in (24, 36, 48, 60)]
    assert min(movement(before, o) for o in options) == total


def test_every_chord_has_a_voicing_in_range() -> None:
    for spec in specs():
        forms = rootless(spec)
        assert forms, spec
        assert all(v[0] in BOTTOM and v[-1] <= 71 for v in forms)
        third = spec.third if spec.third is not None else 5
        assert all((spec.root + third) % 12 in {p % 12 for p in v} for v in forms)


def test_a_rootless_voicing_sounds_no_tone_that_clashes_with_its_symbol() -> None:
    for spec in specs():
        natural = {2, 9} if spec.family == "dominant" else {2}
        allowed = spec.intervals | natural | ({9} if spec.family in ("suspended", "major") else set())
        for voicing in rootless(spec):
            assert {(p - spec.root) % 12 for p in voicing} <= allowed, (spec, voicing)


def test_a_seventh_chord_sounds_its_symbol_and_more_of_its_triad() -> None:
    plainer = 0
    for spec in specs():
        triad = {(spec.root + t) % 12 for t in (0, spec.third, spec.fifth) if t is not None}
        for voicing, coloured in zip(sevenths(spec), rootless(spec), strict=True):
            classes = {p % 12 for p in voicing}
            assert {(p - spec.root) % 12 for p in voicing} <= spec.intervals | {7}, (spec, voicing)
            assert voicing[0] in BOTTOM
            third = spec.third if spec.third is not None else 5
            assert (spec.root + third) % 12 in classes
            held, before = len(classes & triad), len({p % 12 for p in coloured} & triad)
            assert held >= before
            plainer += held > before
    assert plainer > 100


def test_a_plain_close_chord_has_no_added_ninth() -> None:
    spec = parse("C:maj9")
    assert 2 in {p % 12 for p in close_below(spec, 76)}
    assert 2 not in {p % 12 for p in close_below(spec, 76, coloured=False)}


def test_shells_respect_low_interval_limits() -> None:
    for spec in specs():
        for voicing in shells(spec):
            assert clear(voicing)
            assert voicing[0] >= 36
    assert not clear((40, 44))
    assert LOW_LIMITS[4] == 46


def test_drop_two_puts_the_second_voice_an_octave_down() -> None:
    close = close_below(parse("C:maj9"), 76)
    assert close[-1] == 76
    assert drop_two((60, 64, 67, 71)) == (55, 60, 64, 71)


def test_the_melody_keeps_its_room() -> None:
    dominant, major = parse("G:7"), parse("C:maj7")
    assert clashes((59,), 72, major)  # B under C: a minor ninth
    assert not clashes((55,), 68, dominant)  # the flat ninth over the root of a dominant
    assert clashes((52, 57, 62), 65, major)  # F over E


def test_movement_with_unequal_voices() -> None:
    assert movement((60, 64, 67), (60, 64, 67, 71)) == 4
    assert movement((60, 64), (59, 65)) == 2


def test_ii_goes_to_v_rather_than_elsewhere() -> None:
    table = transitions()
    two, five = 12 * QUALITIES.index("min9") + 2, 12 * QUALITIES.index("13") + 7
    row = table[two, : 12 * len(QUALITIES)].copy()
    row[two] = -np.inf
    assert row.argmax() % 12 == 7
    assert table[two, five] > np.median(row) + 2


def test_chord_scales_hold_the_chord() -> None:
    for spec in specs():
        scale = chord_scale(spec, "C:maj")
        assert scale[0] == spec.root
        assert {(spec.root + i) % 12 for i in spec.intervals} <= set(scale)
    assert chord_scale(parse("D:min9"), "C:maj") == tuple((2 + s) % 12 for s in CHORD_SCALES["dorian"])


def test_a_long_departure_is_another_key() -> None:
    home, away = ["C:maj", "F:maj", "G:maj", "C:maj"] * 4, ["E:maj", "A:maj", "B:maj", "E:maj"] * 8
    keys = local_keys(home + away, [4.0] * 48, "C:maj")
    assert set(keys[:16]) == {"C:maj"}
    assert set(keys[20:]) == {"E:maj"}
    assert set(local_keys(home, [4.0] * 16, "C:maj")) == {"C:maj"}


@pytest.mark.parametrize(("bpm", "ratio"), [(100, 2.08), (195, 2.08), (220, 1.78), (245, 1.50), (290, 1.11)])
def test_swing_ratio_of_the_formula(bpm: float, ratio: float) -> None:
    phase = swing.swing_phase(60 / bpm)
    assert phase / (1 - phase) == pytest.approx(ratio, abs=0.04)
    assert swing.swing_phase(60 / bpm, 0.0) == 0.5
