"""MusicXML 4.0 of lead sheets and covers, for MuseScore, Finale, Sibelius and Dorico.

Written directly: a cover's score takes about 0.1 s this way, where building it as music21 objects takes as long as
the rest of the arrangement; the tests read every file back with music21.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from contrafact.files import write_text
from contrafact.leadsheet import Chord, LeadSheet, Section
from contrafact.notation import LEDGERS, MIDDLE_C, TICKS, Measure, Spelling, Written, beamed, engrave, engrave_hands
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.theory.chords import bass_name, fifths

_HEADS = {48: ("whole", 0), 36: ("half", 1), 24: ("half", 0), 18: ("quarter", 1), 12: ("quarter", 0)} | {
    9: ("eighth", 1),
    6: ("eighth", 0),
    3: ("16th", 0),
    8: ("quarter", 0),
    4: ("eighth", 0),
}
_FLAGS = {"eighth": 1, "16th": 2, "32nd": 3}
_HALVED = {"whole": "half", "half": "quarter", "quarter": "eighth", "eighth": "16th", "16th": "32nd"}
_TRIPLET_LENGTHS = (4, 8)
_KINDS = {
    "": "major", "maj": "major", "min": "minor", "aug": "augmented", "dim": "diminished", "7": "dominant",
    "maj7": "major-seventh", "min7": "minor-seventh",
    "dim7": "diminished-seventh", "hdim7": "half-diminished", "minmaj7": "major-minor",
    "maj6": "major-sixth", "min6": "minor-sixth", "9": "dominant-ninth", "maj9": "major-ninth", "min9": "minor-ninth",
    "11": "dominant-11th", "maj11": "major-11th", "min11": "minor-11th", "13": "dominant-13th", "maj13": "major-13th",
    "min13": "minor-13th", "sus2": "suspended-second", "sus4": "suspended-fourth", "5": "power", "1": "pedal",
}  # fmt: skip
_KEYBOARDS, _GUITARS = range(8), range(24, 32)  # General MIDI programs
_SYMBOL = re.compile(r"(?P<root>[A-G][b#]*)(?::(?P<kind>[^(/]*)(?:\((?P<degrees>[^)]*)\))?)?(?:/(?P<bass>[b#]*\d+))?")
# General MIDI drum note -> staff step, octave, note head
_DRUM_STAFF = {
    35: ("F", 4, ""), 36: ("F", 4, ""), 37: ("C", 5, "x"), 38: ("C", 5, ""), 39: ("C", 5, "slash"), 40: ("C", 5, ""),
    41: ("A", 4, ""), 43: ("A", 4, ""), 45: ("D", 5, ""), 47: ("D", 5, ""), 48: ("E", 5, ""), 50: ("E", 5, ""),
    42: ("G", 5, "x"), 44: ("D", 4, "x"), 46: ("G", 5, "circle-x"), 49: ("A", 5, "x"), 57: ("A", 5, "x"),
    51: ("F", 5, "x"), 53: ("F", 5, "diamond"), 59: ("F", 5, "x"),
}  # fmt: skip


@dataclass(frozen=True)
class _Voice:
    """One written part: its staves from the upper down, each all its measures, and how to show them."""

    name: str
    program: int
    is_drums: bool
    staves: tuple[list[Measure], ...]


def write_leadsheet(sheet: LeadSheet, path: Path, title: str) -> None:
    """Write melody, chord symbols, form and metre as a lead sheet; chords that are guesses have a question mark."""
    notes = [Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody]
    grid, beat_type = _written_grid(sheet)
    voices = [_Voice("Melody", 0, False, (engrave(notes, grid, sheet.duration_s, is_tune=True),))]
    _save(_document(title, voices, sheet, grid, beat_type), path)


def write_score(sheet: LeadSheet, score: Score, path: Path, title: str) -> None:
    """Write all parts of a cover, with the arranged sheet's chord symbols over the first.

    Args:
        sheet: the arranged lead sheet, whose grid the parts were played on.
        score: the cover.
        path: file to write, replaced at once when complete.
        title: shown as the work's title.
    """
    sheet = replace(sheet, chords=tuple(replace(c, confidence=1.0) for c in sheet.chords))  # what is played is no guess
    grid, beat_type = _written_grid(sheet)
    voices = [_voice(part, grid, sheet.duration_s) for part in score.parts]
    _save(_document(title, voices, sheet, grid, beat_type), path)


def _voice(part: Part, grid: BeatGrid, end_s: float) -> _Voice:
    staves: tuple[list[Measure], ...]
    if _is_for_two_hands(part):
        staves = engrave_hands(part.notes, grid, end_s)
    else:
        staves = (engrave(part.notes, grid, end_s, percussion=part.is_drums),)
    return _Voice(part.name.capitalize(), part.program, part.is_drums, staves)


def _is_for_two_hands(part: Part) -> bool:
    """A keyboard other than the melody's that no single clef would show well."""
    if part.is_drums or part.program not in _KEYBOARDS or part.name == "melody":
        return False
    pitches = [n.pitch for n in part.notes] or [MIDDLE_C]
    return min(pitches) < MIDDLE_C - LEDGERS and max(pitches) > MIDDLE_C + LEDGERS


def _written_grid(sheet: LeadSheet) -> tuple[BeatGrid, int]:
    """The grid of written beats and the note value of one: in 6/8 eighths are written, dotted quarters are felt."""
    grid = sheet.grid
    if sheet.metre != "6/8":
        return grid, 4
    count = len(grid.beats_s)
    return BeatGrid(grid.time_at(np.arange(3 * count) / 3), grid.downbeats * 3, 6), 8


def _save(root: ET.Element, path: Path) -> None:
    body = ET.tostring(root, encoding="unicode")
    doctype = (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n{body}\n')


def _document(title: str, voices: Sequence[_Voice], sheet: LeadSheet, grid: BeatGrid, beat_type: int) -> ET.Element:
    root = ET.Element("score-partwise", version="4.0")
    _add(_add(root, "work"), "work-title", _printable(title))
    _add(_add(_add(root, "identification"), "encoding"), "software", "Contrafact")
    parts = _add(root, "part-list")
    for number, voice in enumerate(voices, start=1):
        _declare(parts, f"P{number}", voice)
    for number, voice in enumerate(voices, start=1):
        part = _add(root, "part", id=f"P{number}")
        _write_measures(part, f"P{number}", voice, sheet, grid, beat_type, leading=number == 1)
    return root


def _declare(parts: ET.Element, identity: str, voice: _Voice) -> None:
    declared = _add(parts, "score-part", id=identity)
    _add(declared, "part-name", voice.name)
    drums = sorted({p for m in voice.staves[0] for e in m.events for p in e.pitches}) if voice.is_drums else [None]
    for drum in drums:
        _add(_add(declared, "score-instrument", id=f"{identity}-I{drum or 1}"), "instrument-name", voice.name)
    for drum in drums:
        midi = _add(declared, "midi-instrument", id=f"{identity}-I{drum or 1}")
        _add(midi, "midi-channel", 10 if voice.is_drums else 1)
        _add(midi, "midi-program", voice.program + 1)
        if drum is not None:
            _add(midi, "midi-unpitched", drum + 1)


def _write_measures(
    part: ET.Element, identity: str, voice: _Voice, sheet: LeadSheet, grid: BeatGrid, beat_type: int, *, leading: bool
) -> None:
    metre, spellings = 0, [Spelling(sheet.key) for _ in voice.staves]
    chords, sections = list(sheet.chords), list(sheet.sections)
    has_pickup = len(voice.staves[0]) > 1 and voice.staves[0][0].beats < grid.beats_per_bar
    for place, measure in enumerate(voice.staves[0]):
        is_pickup = has_pickup and place == 0  # counted as bar 0, and written in the metre of the bars that follow
        implicit = {"implicit": "yes"} if is_pickup else {}
        node = _add(part, "measure", number=str(place + (not has_pickup)), **implicit)
        beats = grid.beats_per_bar if is_pickup else measure.beats
        if metre != beats:
            _attributes(node, voice, sheet.key, beats, beat_type, first=place == 0)
            metre = beats
        if leading and place == 0 and sheet.tempo_bpm > 0:
            _tempo(node, sheet)
        marks = _marks(chords, sections, grid, measure) if leading else []
        for staff, measures in enumerate(voice.staves, start=1):
            if staff > 1:
                _add(_add(node, "backup"), "duration", measure.beats * TICKS)
            events = measures[place].events
            spelling = spellings[staff - 1]
            spelling.begin_measure()
            for event, beams in zip(events, _beams(events, beat_type), strict=True):
                while marks and marks[0][0] < event.start + event.length:
                    tick, mark = marks.pop(0)
                    _mark(node, mark, tick - event.start)
                for i, pitch in enumerate(event.pitches or (None,)):
                    _note(node, event, pitch, beams if i == 0 else None, identity, voice, staff, spelling, beat_type)


def _attributes(node: ET.Element, voice: _Voice, key: str, beats: int, beat_type: int, *, first: bool) -> None:
    attributes = _add(node, "attributes")
    if first:
        _add(attributes, "divisions", TICKS if beat_type == 4 else 2 * TICKS)
        if not voice.is_drums:
            _add(_add(attributes, "key"), "fifths", fifths(key))
    time = _add(attributes, "time")
    _add(time, "beats", beats)
    _add(time, "beat-type", beat_type)
    if first and len(voice.staves) == 1:
        _clef(_add(attributes, "clef"), *_clef_of(voice))
    elif first:
        _add(attributes, "staves", len(voice.staves))
        _clef(_add(attributes, "clef", number="1"), "G", 2)
        _clef(_add(attributes, "clef", number="2"), "F", 4)


def _clef_of(voice: _Voice) -> tuple[str, int, int]:
    """Sign, line (0: none) and octaves of the clef for a part on one staff; a guitar is written an octave up."""
    if voice.is_drums:
        return "percussion", 0, 0
    if voice.program in _GUITARS:
        return "G", 2, -1
    pitches = [p for m in voice.staves[0] for e in m.events for p in e.pitches]
    return ("F", 4, 0) if pitches and float(np.median(pitches)) < MIDDLE_C else ("G", 2, 0)


def _clef(node: ET.Element, sign: str, line: int, octaves: int = 0) -> None:
    _add(node, "sign", sign)
    if line:
        _add(node, "line", line)
    if octaves:
        _add(node, "clef-octave-change", octaves)


def _tempo(node: ET.Element, sheet: LeadSheet) -> None:
    direction = _add(node, "direction", placement="above")
    metronome = _add(_add(direction, "direction-type"), "metronome")
    _add(metronome, "beat-unit", "quarter")
    if sheet.metre == "6/8":
        _add(metronome, "beat-unit-dot")
    _add(metronome, "per-minute", f"{sheet.tempo_bpm:.1f}")
    quarters = sheet.tempo_bpm * (1.5 if sheet.metre == "6/8" else 1)
    _add(direction, "staff", 1)
    _add(direction, "sound", tempo=f"{quarters:.3f}")


def _marks(
    chords: list[Chord], sections: list[Section], grid: BeatGrid, measure: Measure
) -> list[tuple[int, Chord | Section]]:
    """(tick in the measure, chord or section that starts there); takes them from the front of the lists."""
    found: list[tuple[int, Chord | Section]] = []
    for waiting in (sections, chords):
        while waiting:
            tick = round((float(grid.beat_at(waiting[0].start_s)) - measure.first_beat) * TICKS)
            if tick >= measure.beats * TICKS - 1:
                break
            if waiting is chords and found and isinstance(found[-1][1], Chord) and found[-1][0] == max(tick, 0):
                found.pop()  # it lasted less than half a tick, or ended before the first beat
            found.append((max(tick, 0), waiting.pop(0)))
    return sorted(found, key=lambda mark: mark[0])


def _mark(node: ET.Element, mark: Chord | Section, offset: int) -> None:
    if isinstance(mark, Section):
        direction = _add(node, "direction", placement="above")
        _add(_add(direction, "direction-type"), "rehearsal", _printable(mark.label) or "-")
        _add(direction, "staff", 1)
        return
    harmony = _add(node, "harmony")
    symbol = _SYMBOL.fullmatch(mark.symbol)
    if symbol is None:
        _spelled(_add(harmony, "root"), "root", "C")
        _add(harmony, "kind", "none").set("text", "N.C.")
    else:
        _spelled(_add(harmony, "root"), "root", symbol["root"])
        kind = symbol["kind"] or ("" if not symbol["degrees"] else "maj")
        text = mark.symbol.partition(":")[2].partition("/")[0].replace("min", "m")
        text = ("" if text == "maj" else text) + ("?" if mark.is_guess else "")
        _add(harmony, "kind", _KINDS[kind]).set("text", text)
        if symbol["bass"]:
            _spelled(_add(harmony, "bass"), "bass", bass_name(mark.symbol))
        for degree in filter(None, (symbol["degrees"] or "").split(",")):
            _degree(harmony, degree)
    if offset > 0:
        _add(harmony, "offset", offset)
    _add(harmony, "staff", 1)


def _degree(harmony: ET.Element, text: str) -> None:
    node = _add(harmony, "degree")
    _add(node, "degree-value", int(text.lstrip("*b#")))
    _add(node, "degree-alter", text.count("#") - text.count("b"))
    _add(node, "degree-type", "subtract" if text.startswith("*") else "add")


def _note(
    node: ET.Element,
    event: Written,
    pitch: int | None,
    beams: list[str] | None,
    identity: str,
    voice: _Voice,
    staff: int,
    spelling: Spelling,
    beat_type: int,
) -> None:
    """One head; ``beams`` by level, or None where it belongs to the chord of the head before."""
    note, accidental = _add(node, "note"), ""
    if beams is None:
        _add(note, "chord")
    if pitch is None:
        _add(note, "rest")
    elif voice.is_drums:
        step, octave, head = _DRUM_STAFF.get(pitch, ("E", 5, "x"))
        unpitched = _add(note, "unpitched")
        _add(unpitched, "display-step", step)
        _add(unpitched, "display-octave", octave)
    else:
        accidental = _pitch(note, pitch, spelling, is_tied=event.tied_to_previous)
    _add(note, "duration", event.length)
    ties = [
        kind
        for on, kind in ((event.tied_to_previous, "stop"), (event.tied_to_next, "start"))
        if on and not voice.is_drums
    ]
    for kind in ties:
        _add(note, "tie", type=kind)
    if voice.is_drums and pitch is not None:
        _add(note, "instrument", id=f"{identity}-I{pitch}")
    _add(note, "voice", 4 * staff - 3)
    _head(note, event.length, beat_type, accidental)
    if voice.is_drums and pitch is not None and head:
        _add(note, "notehead", head)
    if len(voice.staves) > 1:
        _add(note, "staff", staff)
    for level, beam in enumerate(beams or (), start=1):
        _add(note, "beam", beam, number=str(level))
    if ties:
        notations = _add(note, "notations")
        for kind in ties:
            _add(notations, "tied", type=kind)


def _head(note: ET.Element, length: int, beat_type: int, accidental: str) -> None:
    _, dots = _HEADS[length]
    _add(note, "type", _type(length, beat_type))
    for _ in range(dots):
        _add(note, "dot")
    if accidental:
        _add(note, "accidental", accidental)
    if length in _TRIPLET_LENGTHS:
        ratio = _add(note, "time-modification")
        _add(ratio, "actual-notes", 3)
        _add(ratio, "normal-notes", 2)


def _type(length: int, beat_type: int) -> str:
    name, _ = _HEADS[length]
    return _HALVED[name] if beat_type == 8 else name


def _beams(events: Sequence[Written], beat_type: int) -> list[list[str]]:
    """Beams within a beat, in eighths within three."""
    flags = [_FLAGS.get(_type(e.length, beat_type), 0) if e.pitches else 0 for e in events]
    return beamed(events, flags, TICKS if beat_type == 4 else 3 * TICKS)


def _pitch(note: ET.Element, pitch: int, spelling: Spelling, *, is_tied: bool) -> str:
    """Write a pitch; the accidental that stands before its head, or ""."""
    step, alter = spelling.of(pitch)
    octave = (pitch - alter) // 12 - 1
    node = _add(note, "pitch")
    _add(node, "step", step)
    if alter:
        _add(node, "alter", alter)
    _add(node, "octave", octave)
    if is_tied:
        spelling.hold(step, octave, alter)
        return ""
    return spelling.accidental(step, octave, alter)


def _spelled(node: ET.Element, prefix: str, name: str) -> None:
    _add(node, f"{prefix}-step", name[0])
    if alter := name.count("#") - name.count("b"):
        _add(node, f"{prefix}-alter", alter)


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(c for c in text if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")


def _add(parent: ET.Element, tag: str, text: object = None, **attributes: str) -> ET.Element:
    node = ET.SubElement(parent, tag, attributes)
    if text is not None:
        node.text = str(text)
    return node
