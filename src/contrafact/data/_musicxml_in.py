"""One-part MusicXML lead sheets as written notes and chords, repeats played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from contrafact.leadsheet import HARTE

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHARPS = "FCGDAEB"
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
KINDS = {
    "": ("maj", ()),
    "major": ("maj", ()),
    "minor": ("min", ()),
    "augmented": ("aug", ()),
    "diminished": ("dim", ()),
    "dominant": ("7", ()),
    "major-seventh": ("maj7", ()),
    "minor-seventh": ("min7", ()),
    "diminished-seventh": ("dim7", ()),
    "augmented-seventh": ("aug", ("b7",)),
    "half-diminished": ("hdim7", ()),
    "major-minor": ("minmaj7", ()),
    "minor-major": ("minmaj7", ()),
    "major-sixth": ("maj6", ()),
    "minor-sixth": ("min6", ()),
    "maj69": ("maj6", ("9",)),
    "dominant-ninth": ("9", ()),
    "major-ninth": ("maj9", ()),
    "minor-ninth": ("min9", ()),
    "augmented-ninth": ("aug", ("b7", "9")),
    "dominant-11th": ("11", ()),
    "major-11th": ("maj11", ()),
    "minor-11th": ("min11", ()),
    "dominant-13th": ("13", ()),
    "major-13th": ("maj13", ()),
    "minor-13th": ("min13", ()),
    "suspended-fourth": ("sus4", ()),
    "suspended-second": ("sus2", ()),
    "power": ("5", ()),
}
MAX_BARS = 2000


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """Onset and length in quarters, MIDI pitch."""

    onset: float
    length: float
    pitch: int


@dataclass(frozen=True, slots=True)
class WrittenChord:
    """Start and end in quarters, symbol in Harte's syntax."""

    start: float
    end: float
    symbol: str


@dataclass(frozen=True)
class WrittenSheet:
    """A melody with chords, times in quarters from the first bar's start.

    Attributes:
        notes: in order, ties joined.
        chords: in order, without gaps from the first to the end.
        bars: where bars start.
        first_bar: the first of them that is no pickup.
        length: quarters in all.
        metre: of most bars, "4/4".
        key: major key of the signature, "N" without one.
    """

    notes: tuple[WrittenNote, ...]
    chords: tuple[WrittenChord, ...]
    bars: tuple[float, ...]
    first_bar: float
    length: float
    metre: str
    key: str


@dataclass
class _Bar:
    """A measure as written; times in quarters from its start."""

    metre: str
    length: float = 0.0
    notes: list[tuple[float, float, int, bool]] = field(default_factory=list)  # onset, length, pitch, continues
    chords: list[tuple[float, str]] = field(default_factory=list)
    opens: bool = False
    closes: bool = False
    endings: frozenset[int] = frozenset()


def parse_sheet(score: Element) -> WrittenSheet:
    """The first part of a score.

    Raises:
        ValueError: no part or no note, a length or a chord that makes no sense, or repeats that never end.
    """
    part = score.find("part")
    if part is None:
        raise ValueError("it has no part")
    bars = list(_bars(part))
    order = _play_order(bars)
    starts, at = [], 0.0
    for i in order:
        starts.append(at)
        at += bars[i].length
    notes = tuple(_joined((starts[k] + o, n, p, tied) for k, i in enumerate(order) for o, n, p, tied in bars[i].notes))
    if not notes:
        raise ValueError("it has no note")
    changes = [(starts[k] + o, symbol) for k, i in enumerate(order) for o, symbol in bars[i].chords]
    metre = Counter(b.metre for b in bars).most_common(1)[0][0]
    pickup = bars[0].length if len(bars) > 1 and bars[0].length < _nominal(bars[0].metre) - 1e-6 else 0.0
    return WrittenSheet(notes, tuple(_spans(changes, at)), tuple(starts), pickup, at, metre, _key(part))


def _nominal(metre: str) -> float:
    beats, unit = (int(x) for x in metre.split("/"))
    return 4 * beats / unit


def _bars(part: Element) -> Iterator[_Bar]:
    """Measures in written order."""
    divisions, metre, endings = 1.0, "4/4", frozenset[int]()
    for measure in part.iter("measure"):
        bar, at, last = _Bar(metre, endings=endings), 0.0, 0.0
        for element in measure:
            if element.tag == "attributes":
                divisions = float(element.findtext("divisions") or divisions)
                if (time := element.find("time")) is not None:
                    metre = bar.metre = f"{int(time.findtext('beats') or 4)}/{int(time.findtext('beat-type') or 4)}"
            elif element.tag == "note" and element.find("grace") is None:
                length = float(element.findtext("duration") or 0) / divisions
                start = last if element.find("chord") is not None else at
                _add_note(bar, element, start, length)
                last, at = start, max(at, start + length)
            elif element.tag == "harmony":
                offset = float(element.findtext("offset") or 0) / divisions
                bar.chords.append((max(0.0, at + offset), _symbol(element)))
            elif element.tag in ("backup", "forward"):
                length = float(element.findtext("duration") or 0) / divisions
                at += length if element.tag == "forward" else -length
            elif element.tag == "barline":
                endings = _barline(bar, element, endings)
            bar.length = max(bar.length, at)
        bar.length = bar.length or _nominal(metre)
        if not 0 < bar.length < 64:
            raise ValueError(f"a bar of {bar.length} quarters")
        yield bar


def _add_note(bar: _Bar, element: Element, start: float, length: float) -> None:
    pitch = element.find("pitch")
    if pitch is None or length <= 0:
        return
    step = STEPS[pitch.findtext("step", "").strip()]
    key = 12 * (int(pitch.findtext("octave", "")) + 1) + step + round(float(pitch.findtext("alter") or 0))
    ties = {tie.get("type") for tie in element.findall("tie")}
    bar.notes.append((start, length, key, "stop" in ties))


def _barline(bar: _Bar, element: Element, endings: frozenset[int]) -> frozenset[int]:
    """Take in repeats and endings; returns the endings that the next measures belong to."""
    ending, repeat = element.find("ending"), element.find("repeat")
    if ending is not None and ending.get("type") == "start":
        endings = frozenset(int(n) for n in ending.get("number", "1").replace(" ", "").split(",") if n)
    if repeat is not None:
        bar.opens |= repeat.get("direction") == "forward"
        bar.closes |= repeat.get("direction") == "backward"
    bar.endings = bar.endings | endings
    return frozenset() if ending is not None and ending.get("type") in ("stop", "discontinue") else endings


def _play_order(bars: list[_Bar]) -> list[int]:
    """Indices of the measures as they are played."""
    order: list[int] = []
    begin, turn, i, turned = 0, 1, 0, set[int]()
    while i < len(bars):
        bar = bars[i]
        if bar.opens and i != begin:
            begin, turn = i, 1
        if bar.endings and turn not in bar.endings:
            i += 1
            continue
        order.append(i)
        if len(order) > MAX_BARS:
            raise ValueError("its repeats do not end")
        if bar.closes and (i not in turned or _later_ending(bars, i, turn)):
            turned.add(i)
            turn, i = turn + 1, begin
            continue
        if bar.closes or (bar.endings and turn in bar.endings and not _ending_goes_on(bars, i)):
            begin, turn = i + 1, 1
        i += 1
    return order


def _later_ending(bars: list[_Bar], i: int, turn: int) -> bool:
    """Whether this ending is to be played again, as "1, 2." is."""
    return turn + 1 in bars[i].endings


def _ending_goes_on(bars: list[_Bar], i: int) -> bool:
    return i + 1 < len(bars) and bars[i + 1].endings == bars[i].endings


def _joined(notes: Iterator[tuple[float, float, int, bool]]) -> Iterator[WrittenNote]:
    """One note at a time, tied ones made one."""
    held: WrittenNote | None = None
    for onset, length, pitch, continues in notes:
        end = held.onset + held.length if held else 0.0
        if held and continues and held.pitch == pitch and abs(end - onset) < 1e-6:
            held = replace(held, length=held.length + length)
            continue
        if held and held.onset == onset:  # struck together: the highest is the melody
            held = max(held, WrittenNote(onset, length, pitch), key=lambda n: n.pitch)
            continue
        if held:
            yield replace(held, length=min(held.length, onset - held.onset))
        held = WrittenNote(onset, length, pitch)
    if held:
        yield held


def _spans(changes: list[tuple[float, str]], length: float) -> Iterator[WrittenChord]:
    """Each chord up to the next; equal neighbours are one."""
    ordered = sorted((c for c in changes if c[0] < length), key=lambda c: c[0])
    kept = [c for i, c in enumerate(ordered) if i + 1 == len(ordered) or ordered[i + 1][0] > c[0]]
    merged = [c for i, c in enumerate(kept) if i == 0 or c[1] != kept[i - 1][1]]
    ends = [*(start for start, _ in merged[1:]), length][: len(merged)]
    for (start, symbol), end in zip(merged, ends, strict=True):
        yield WrittenChord(start, end, symbol)


def _key(part: Element) -> str:
    fifths = part.findtext(".//attributes/key/fifths")
    if fifths is None:
        return "N"
    place = int(fifths) + 1
    accidentals = place // 7
    return SHARPS[place % 7] + ("#" * accidentals if accidentals > 0 else "b" * -accidentals) + ":maj"


def _name(element: Element, kind: str) -> str:
    alter = round(float(element.findtext(f"{kind}-alter") or 0))
    return element.findtext(f"{kind}-step", "").strip() + ("#" * alter if alter > 0 else "b" * -alter)


def _symbol(harmony: Element) -> str:
    """The chord in Harte's syntax; an unknown kind is an error, an unknown degree is left out."""
    kind = (harmony.findtext("kind") or "").strip()
    root = harmony.find("root")
    if kind == "none" or root is None:
        return "N"
    quality, added = KINDS[kind]
    altered, degrees = [], list(added)
    for degree in harmony.findall("degree"):
        number = (degree.findtext("degree-value") or "").strip()
        alter = round(float(degree.findtext("degree-alter") or 0))
        name = ("#" * alter if alter > 0 else "b" * -alter) + number
        if degree.findtext("degree-type") == "alter" and number in ("3", "5"):
            altered += [f"*{number}", name]
        else:
            degrees.append("b7" if name == "7" else name)
    if quality == "min7" and altered == ["*5", "b5"]:
        quality, altered = "hdim7", []
    inside = ",".join([*altered, *degrees])
    name = _name(root, "root")
    symbol = f"{name}:{quality}" + (f"({inside})" if inside else "")
    bass = harmony.find("bass")
    if bass is not None:
        step = (_pitch_class(_name(bass, "bass")) - _pitch_class(name)) % 12
        symbol += f"/{DEGREES[step]}" if step else ""
    if not HARTE.fullmatch(symbol):
        raise ValueError(f"{symbol!r} is no chord")
    return symbol


def _pitch_class(name: str) -> int:
    return (STEPS[name[0]] + name.count("#") - name[1:].count("b")) % 12
