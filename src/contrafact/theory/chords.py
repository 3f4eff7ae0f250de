"""Chord symbols in Harte's syntax and the tones they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from contrafact.errors import SettingsError
from contrafact.leadsheet import HARTE

Family = Literal[
    "major", "minor", "dominant", "half-diminished", "diminished", "augmented", "suspended", "power", "none"
]

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11, 8: 12, 9: 14, 10: 16, 11: 17, 12: 19, 13: 21}

SHORTHANDS: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "7": (0, 4, 7, 10),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "minmaj7": (0, 3, 7, 11),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "min9": (0, 3, 7, 10, 14),
    "11": (0, 4, 7, 10, 14, 17),
    "maj11": (0, 4, 7, 11, 14, 17),
    "min11": (0, 3, 7, 10, 14, 17),
    # The 11 of a thirteenth chord is left out unless it is written, as players do: it clashes with a major third.
    "13": (0, 4, 7, 10, 14, 21),
    "maj13": (0, 4, 7, 11, 14, 21),
    "min13": (0, 3, 7, 10, 14, 17, 21),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "5": (0, 7),
    "1": (0,),
    "": (0,),
}
"""Harte's shorthands as semitones above the root, extensions above the octave."""


_DISPLAY = {
    "maj": "",
    "min": "m",
    "aug": "+",
    "min7": "m7",
    "hdim7": "m7♭5",
    "minmaj7": "m(maj7)",
    "maj6": "6",
    "min6": "m6",
    "min9": "m9",
    "min11": "m11",
    "min13": "m13",
    "": "",
}


@dataclass(frozen=True, slots=True)
class ChordSpec:
    """What a chord symbol says.

    Attributes:
        root: pitch class 0..11 of the root; -1 for "no chord".
        shorthand: Harte's shorthand ("maj7", "13", ...), "" where only degrees are written.
        degrees: added degrees as written, without omissions ("b9", "b13").
        tones: semitones above the root, increasing, the root first; extensions are above 12.
        bass: semitones of the bass note above the root, 0..11; 0 in root position.
    """

    root: int
    shorthand: str
    degrees: tuple[str, ...]
    tones: tuple[int, ...]
    bass: int = 0

    @property
    def is_none(self) -> bool:
        """Whether there is no chord."""
        return self.root < 0

    @property
    def intervals(self) -> frozenset[int]:
        """The tones folded into one octave above the root."""
        return frozenset(t % 12 for t in self.tones)

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Sounding pitch classes, the bass note included."""
        if self.is_none:
            return frozenset()
        return frozenset((self.root + t) % 12 for t in (*self.tones, self.bass))

    @property
    def bass_pitch_class(self) -> int:
        """Pitch class of the lowest note; -1 without a chord."""
        return -1 if self.is_none else (self.root + self.bass) % 12

    @property
    def third(self) -> int | None:
        """3 or 4, else None."""
        return next((t for t in self.tones if t in (3, 4)), None)

    @property
    def seventh(self) -> int | None:
        """10 or 11, or 9 of a sixth or diminished seventh chord, else None."""
        return next((t for t in (11, 10, 9) if t in self.tones), None)

    @property
    def fifth(self) -> int | None:
        """7, or 6 or 8 where the fifth is altered, else None."""
        return next((t for t in (7, 6, 8) if t in self.tones), None)

    @property
    def tensions(self) -> tuple[int, ...]:
        """Ninths, elevenths and thirteenths, as semitones above the root (13 to 21)."""
        return tuple(t for t in self.tones if t > 12)

    @property
    def family(self) -> Family:
        """The function that the thirds and sevenths give."""
        if self.is_none:
            return "none"
        tones = set(self.tones)
        if 4 in tones:
            return "dominant" if 10 in tones else "augmented" if 8 in tones and 7 not in tones else "major"
        if 3 in tones:
            if 7 in tones or 6 not in tones:
                return "minor"
            return "half-diminished" if 10 in tones else "diminished"
        return "suspended" if tones & {2, 5} else "power"

    @property
    def is_dominant(self) -> bool:
        """Whether it wants to fall a fifth: a major third, or a fourth in its place, under a minor seventh."""
        return 10 in self.tones and (4 in self.tones or (5 in self.tones and 3 not in self.tones))

    @property
    def is_minor_seventh(self) -> bool:
        """Whether it may be the ii of a ii-V: minor or half-diminished with a minor seventh."""
        return 3 in self.tones and 10 in self.tones

    @property
    def is_rich(self) -> bool:
        """Whether it is more than a major, minor, augmented or suspended triad."""
        return not self.is_none and tuple(self.tones) not in _PLAIN

    @property
    def triad(self) -> str:
        """The shorthand of the plain triad underneath ("maj", "min", "dim", "aug", "sus4", "sus2"); "N" for none."""
        if self.is_none:
            return "N"
        if self.third == 4:
            return "aug" if self.fifth == 8 else "maj"
        if self.third == 3:
            return "dim" if self.fifth == 6 else "min"
        return "sus4" if 5 in self.tones else "sus2" if 2 in self.tones else "maj"


_PLAIN = {SHORTHANDS[q] for q in ("maj", "min", "aug", "sus4", "sus2", "5", "1")}
NONE = ChordSpec(-1, "N", (), ())


def degree_semitones(degree: str) -> int:
    """Semitones above the root of a degree such as "b9" (13) or "#11" (18)."""
    number = degree.lstrip("b#")
    return DEGREES[int(number)] + degree.count("#") - degree.count("b")


def pitch_class(name: str) -> int:
    """Pitch class 0..11 of a note name such as "Bb"."""
    return (LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12


@lru_cache(maxsize=4096)
def parse(symbol: str) -> ChordSpec:
    """The tones of a chord symbol in Harte's syntax.

    Source: Harte et al., "Symbolic representation of musical chords", ISMIR 2005.

    Raises:
        SettingsError: the symbol is not in Harte's syntax.
    """
    if not HARTE.fullmatch(symbol):
        raise SettingsError(
            "CHORD_UNKNOWN", f"{symbol!r} is no chord in Harte's syntax.", "Write it like 'Bb:min7' or 'G:7(b9,b13)'."
        )
    if symbol in ("N", "X"):
        return NONE
    head, _, bass = symbol.partition("/")
    name, _, quality = head.partition(":")
    shorthand, _, inside = quality.partition("(")
    written = [d for d in inside.rstrip(")").split(",") if d]
    if not quality:
        shorthand = "maj"
    omitted = {degree_semitones(d[1:]) % 12 for d in written if d.startswith("*")}
    added = tuple(d for d in written if not d.startswith("*"))
    tones = {t for t in SHORTHANDS[shorthand] if t % 12 not in omitted} | {degree_semitones(d) for d in added}
    below = degree_semitones(bass) % 12 if bass else 0
    return ChordSpec(pitch_class(name), shorthand, added, tuple(sorted(tones | {0})), below)


def spell(pc: int, key: str = "N") -> str:
    """Note name of a pitch class as musicians write it in ``key``, with one accidental at most.

    Chromatic notes run from the flat second to the sharp fourth above the tonic (the harmonic chromatic scale); Cb, Fb,
    E# and B# are only written where the key itself has them.

    Examples:
        >>> spell(8, "C:maj"), spell(8, "A:min"), spell(11, "Gb:maj")
        ('Ab', 'G#', 'Cb')
    """
    signature = fifths(key)
    flat_second = signature - 5 + MINOR_TONIC * key.endswith("min")
    place = next(f for f in range(flat_second, flat_second + 12) if (7 * f - pc) % 12 == 0)
    if not (-6 <= place <= 10 or signature - 1 <= place <= signature + 5):
        place += 12 if place < 0 else -12
    return _name(place)


def key_name(pc: int, is_minor: bool) -> str:
    """The key on a pitch class, such as "Bb:maj" or "C#:min", by the shorter signature; six flats before six sharps."""
    signature = (7 * (pc + 3 * is_minor) + 6) % 12 - 6
    return f"{_name(signature + MINOR_TONIC * is_minor)}:{'min' if is_minor else 'maj'}"


def fifths(key: str) -> int:
    """Key signature: sharps (positive) or flats (negative) of "D:maj" (2) or "G:min" (-2); 0 for "N".

    A key that would need more than seven has the signature of its other spelling.
    """
    if key == "N":
        return 0
    name, _, mode = key.partition(":")
    signature = _place(name) - MINOR_TONIC * (mode == "min")
    return signature - 12 if signature > 7 else signature + 12 if signature < -7 else signature


def bass_name(symbol: str) -> str:
    """Note name of a chord's bass, as its degree above the root: "C#" for "A:maj/3", the root where none is written."""
    head, _, bass = symbol.partition("/")
    degree = bass or "1"
    accidentals = degree.rstrip("0123456789")
    letter = "CDEFGAB"[(int(degree.lstrip("b#")) - 1) % 7]
    place = _place(head.partition(":")[0]) + _place(letter + accidentals)
    return _name(place + 12 if place < -8 else place - 12 if place > 12 else place)


MINOR_TONIC = 3  # fifths from the tonic of the relative major key
_LINE = "FCGDAEB"


def _place(name: str) -> int:
    """Where a note name lies on the line of fifths: C at 0, G at 1, F# at 6, F at -1, Bb at -2."""
    return _LINE.index(name[0]) - 1 + 7 * (name.count("#") - name.count("b"))


def _name(place: int) -> str:
    """The note name at a place of the line of fifths."""
    accidentals, letter = divmod(place + 1, 7)
    return _LINE[letter] + "#" * accidentals + "b" * -accidentals


def tonic(key: str) -> tuple[int, bool]:
    """Pitch class of the tonic and whether the key is minor; C major where there is no key."""
    if key == "N":
        return 0, False
    name, _, mode = key.partition(":")
    return pitch_class(name), mode == "min"


def build(root: int, quality: str, key: str = "N", bass: int = 0) -> str:
    """The symbol of a quality such as "maj9" or "7(b9,b13)" on a pitch class, its root spelled for ``key``."""
    below = f"/{_BASS_NAMES[bass % 12]}" if bass % 12 else ""
    return f"{spell(root, key)}:{quality}{below}"


_BASS_NAMES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


def simplify(symbol: str) -> str:
    """The plain triad under a symbol, without bass: "D:min9" becomes "D:min", "N" stays."""
    spec = parse(symbol)
    if spec.is_none:
        return "N"
    return f"{symbol.partition('/')[0].partition(':')[0]}:{spec.triad}"


def display(symbol: str) -> str:
    """The symbol as musicians write it: "Cmaj9", "G7♭9♭13", "Dm7/C", "N.C."."""
    spec = parse(symbol)
    if spec.is_none:
        return "N.C."
    root = _pretty(symbol.partition("/")[0].partition(":")[0])
    quality, degrees = spec.shorthand, spec.degrees
    text = _DISPLAY.get(quality, quality)
    if quality == "sus4" and "b7" in degrees:
        rest = [d for d in degrees if d != "b7"]
        top = next((d for d in ("13", "9") if d in rest), "7")
        text, degrees = f"{top}sus4", tuple(d for d in rest if d not in ("9", "13"))
    elif quality in ("maj6", "min6") and degrees == ("9",):
        text, degrees = f"{text}/9", ()
    elif quality == "minmaj7" and degrees == ("9",):
        text, degrees = "m(maj9)", ()
    elif quality == "7":
        natural = next((d for d in ("13", "9") if d in degrees), "7")
        text, degrees = natural, tuple(d for d in degrees if d != natural)
    altered = "".join(_pretty(d) for d in degrees if d[0] in "b#")
    added = "".join(f"(add{d})" for d in degrees if d[0] not in "b#")
    below = f"/{_pretty(bass_name(symbol))}" if spec.bass else ""
    return root + text + (altered if spec.tones[-1] > 12 else f"({altered})" if altered else "") + added + below


def _pretty(name: str) -> str:
    return name.replace("#", "♯").replace("b", "♭")
