"""`LeadSheet`: the content of a song that every cover keeps, as a value and as JSON that a user may edit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from contrafact.config import from_mapping
from contrafact.errors import SettingsError
from contrafact.score import BeatGrid

Metre = Literal["4/4", "3/4", "6/8"]
BEATS_PER_BAR: dict[str, int] = {"4/4": 4, "3/4": 3, "6/8": 2}


GUESSED = 0.2  # confidence below which about one chord in five is right (``benchmarks/reader_weights.py``, certainty)


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord over a span of seconds; ``symbol`` in Harte syntax ("C:maj7", "Bb:min/b3"), "N" for none."""

    start_s: float
    end_s: float
    symbol: str
    confidence: float = 1.0

    @property
    def is_guess(self) -> bool:
        """Whether its root is more likely wrong than right."""
        return self.symbol != "N" and self.confidence < GUESSED


@dataclass(frozen=True, slots=True)
class MelodyNote:
    """A note of the melody: seconds, MIDI pitch, confidence 0..1."""

    onset_s: float
    duration_s: float
    pitch: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the form; equal labels ("A", "B", ...) name repeats of the same material."""

    start_s: float
    end_s: float
    label: str
    confidence: float = 1.0


Span = TypeVar("Span", Chord, Section)


@dataclass(frozen=True)
class LeadSheet:
    """Beats, metre, key, chords, melody and form of one song.

    Attributes:
        duration_s: length of the song in seconds.
        beats_s: increasing times of all beats in seconds; the song's grid. Extends over the whole song.
        downbeats_s: the beats that start bars; a subset of ``beats_s``.
        metre: "4/4", "3/4" or "6/8" (in 6/8 a beat is a dotted quarter).
        key: Harte-like, "C:maj" or "A:min"; "N" where there is none.
        chords: gapless and in order, from 0 to ``duration_s``.
        melody: in order, at most one note at a time.
        sections: gapless and in order, from 0 to ``duration_s``.
        confidence: 0..1 for "beats", "downbeats", "key", "chords", "melody", "sections".
        starts_s: when the music begins; before it a cover is silent.
        transposed: semitones by which it was moved from the song's own pitch; not part of the JSON.
    """

    duration_s: float
    beats_s: NDArray[np.float64]
    downbeats_s: NDArray[np.float64]
    metre: Metre
    key: str
    chords: tuple[Chord, ...]
    melody: tuple[MelodyNote, ...]
    sections: tuple[Section, ...]
    confidence: dict[str, float] = field(default_factory=dict)
    starts_s: float = 0.0
    transposed: int = 0

    @property
    def grid(self) -> BeatGrid:
        """The beat grid with bars."""
        beats = np.asarray(self.beats_s, dtype=np.float64)
        downbeats = np.searchsorted(beats, np.asarray(self.downbeats_s) - 1e-6)
        return BeatGrid(beats, downbeats[downbeats < len(beats)], BEATS_PER_BAR[self.metre])

    def until(self, end_s: float) -> LeadSheet:
        """The lead sheet of the song's first ``end_s`` seconds; bars and beats go on to the first beat after them."""
        end_s = min(end_s, self.duration_s)
        beats = self.beats_s[: max(2, int(np.searchsorted(self.beats_s, end_s)) + 1)]
        return replace(
            self,
            duration_s=end_s,
            beats_s=beats,
            downbeats_s=self.downbeats_s[self.downbeats_s <= beats[-1]],
            chords=_cut(self.chords, end_s),
            melody=tuple(
                replace(n, duration_s=min(n.duration_s, end_s - n.onset_s)) for n in self.melody if n.onset_s < end_s
            ),
            sections=_cut(self.sections, end_s),
        )

    @property
    def tempo_bpm(self) -> float:
        """Median tempo in beats a minute; 0 with fewer than two beats."""
        return _tempo_bpm(self.beats_s)


FORMAT = "contrafact-leadsheet-1"
WRITTEN_BY = "`contrafact leadsheet SONG -o X.json` writes one."


def to_json(sheet: LeadSheet) -> str:
    """The lead sheet as JSON text that a user may edit and give back; times in seconds, to 0.1 ms."""
    data = {
        "format": FORMAT,
        "duration_s": round(sheet.duration_s, 4),
        "starts_s": round(sheet.starts_s, 4),
        "metre": sheet.metre,
        "key": sheet.key,
        "tempo_bpm": round(sheet.tempo_bpm, 3),
        "beats_s": [round(float(b), 4) for b in sheet.beats_s],
        "downbeats_s": [round(float(b), 4) for b in sheet.downbeats_s],
        "chords": [_rounded(asdict(c)) for c in sheet.chords],
        "melody": [_rounded(asdict(n)) for n in sheet.melody],
        "sections": [_rounded(asdict(s)) for s in sheet.sections],
        "confidence": _rounded(sheet.confidence),
    }
    lines = [f" {json.dumps(key)}: {_json_value(value)}" for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _cut(spans: Sequence[Span], end_s: float) -> tuple[Span, ...]:
    """The spans before ``end_s``, the last one ending there."""
    return tuple(replace(span, end_s=min(span.end_s, end_s)) for span in spans if span.start_s < end_s)


def _json_value(value: Any) -> str:
    """One record a line where there are many, so that the file is easy to edit by hand."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join("  " + json.dumps(v, allow_nan=False) for v in value) + "\n ]"
    return json.dumps(value, allow_nan=False)


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}


def from_json(text: str) -> LeadSheet:
    """Read a lead sheet that a user may have edited.

    Chords and sections are put in order, clipped to the song and made gapless ("N", and the section before); melody
    notes are put in order and cut where they overlap; a tempo is derived, and must not say otherwise.

    Raises:
        SettingsError: not JSON, a missing or unknown key, a value of the wrong type, times out of order, a tempo that
            the beats do not have, or a chord, key or metre that cannot be understood; the message names the place.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as cause:
        if text.lstrip().startswith("<"):
            raise _nonsense(
                "The lead sheet is MusicXML, which is for printing", f"Give a JSON file. {WRITTEN_BY}"
            ) from cause
        raise _nonsense(f"The lead sheet is not valid JSON: {cause}") from cause
    if not isinstance(data, dict):
        raise _nonsense("The lead sheet must be a JSON object")
    if data.pop("format", FORMAT) != FORMAT:
        raise _nonsense(f"The lead sheet is of another format than {FORMAT}")
    raw = from_mapping(_Raw, data, "leadsheet")
    if not (math.isfinite(raw.duration_s) and 0 < raw.duration_s <= MAX_DURATION_S):
        raise _nonsense(f"leadsheet.duration_s is {raw.duration_s}, but must be over 0 and at most {MAX_DURATION_S}")
    if not 0 <= raw.starts_s < raw.duration_s:
        raise _nonsense(f"leadsheet.starts_s is {raw.starts_s}, but must lie inside the song")
    beats = _times(raw.beats_s, "beats_s", raw.duration_s)
    downbeats = _times(raw.downbeats_s, "downbeats_s", raw.duration_s)
    if len(beats) < 2:
        raise _nonsense("leadsheet.beats_s needs at least two beats")
    _check_tempo(raw.tempo_bpm, beats)
    nearest = _nearest(beats, downbeats)
    if (np.abs(nearest - downbeats) > BEAT_TOLERANCE_S).any():
        raise _nonsense("leadsheet.downbeats_s holds a time that is no beat")
    _check_spans("chords", raw.chords, raw.duration_s)
    _check_spans("sections", raw.sections, raw.duration_s)
    _check_melody(raw.melody, raw.duration_s)
    shares = [*raw.confidence.values(), *(c.confidence for c in raw.chords)]
    shares += [n.confidence for n in raw.melody] + [x.confidence for x in raw.sections]
    if not all(0 <= share <= 1 for share in shares):
        raise _nonsense("leadsheet holds a confidence outside 0 to 1")
    if not KEY_PATTERN.fullmatch(raw.key):
        raise _nonsense(f"leadsheet.key is {raw.key!r}, but must look like 'G:min', 'Bb:maj' or 'N'")
    return LeadSheet(
        duration_s=raw.duration_s,
        beats_s=beats,
        downbeats_s=np.unique(nearest),
        metre=raw.metre,
        key=raw.key,
        chords=_gapless_chords(raw.chords, raw.duration_s),
        melody=_monophonic(raw.melody),
        sections=_gapless_sections(raw.sections, raw.duration_s),
        confidence=dict(raw.confidence),
        starts_s=raw.starts_s,
    )


MAX_DURATION_S = 3 * 3600.0
BEAT_TOLERANCE_S = 0.01
TEMPO_TOLERANCE = 0.01  # share of the tempo
_SHORTHAND = (
    "maj|min|dim|aug|maj7|min7|7|dim7|hdim7|minmaj7|maj6|min6|9|maj9|min9|11|maj11|min11|13|maj13|min13|sus2|sus4|5|1"
)
_DEGREE = r"[b#]{0,2}(?:1[0-3]|[1-9])"
_DEGREES = rf"\(\*?{_DEGREE}(?:,\*?{_DEGREE})*\)"
HARTE = re.compile(rf"N|X|[A-G][b#]{{0,2}}(?::(?:(?:{_SHORTHAND})(?:{_DEGREES})?|{_DEGREES}))?(?:/{_DEGREE})?")
KEY_PATTERN = re.compile(r"N|[A-G][b#]?:(maj|min)")


@dataclass(frozen=True)
class _Raw:
    """The JSON's shape; the types are the first check."""

    duration_s: float
    metre: Metre
    key: str
    beats_s: tuple[float, ...]
    downbeats_s: tuple[float, ...]
    chords: tuple[Chord, ...]
    melody: tuple[MelodyNote, ...]
    sections: tuple[Section, ...]
    confidence: dict[str, float] = field(default_factory=dict)
    starts_s: float = 0.0
    tempo_bpm: float | None = None


def _nearest(beats: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The beat next to each time."""
    after = np.clip(np.searchsorted(beats, times), 1, len(beats) - 1)
    before = after - 1
    return np.asarray(np.where(times - beats[before] < beats[after] - times, beats[before], beats[after]))


def _check_tempo(tempo_bpm: float | None, beats: NDArray[np.float64]) -> None:
    """Refuse an edited tempo: it would change nothing."""
    true_bpm = _tempo_bpm(beats)
    if tempo_bpm is not None and not abs(tempo_bpm - true_bpm) <= TEMPO_TOLERANCE * true_bpm:
        raise _nonsense(
            f"leadsheet.tempo_bpm is {tempo_bpm:g}, but beats_s, which decides, has {true_bpm:.1f} beats a minute",
            "Take tempo_bpm out, or have the song heard anew at that tempo: --tempo BPM of cover and leadsheet.",
        )


def _tempo_bpm(beats: NDArray[np.float64]) -> float:
    return float(60 / np.median(np.diff(beats))) if len(beats) > 1 else 0.0


def _nonsense(sentence: str, next_step: str = f"Correct the file. {WRITTEN_BY}") -> SettingsError:
    return SettingsError("LEADSHEET_INVALID", f"{sentence}.", next_step)


def _times(values: tuple[float, ...], place: str, duration_s: float) -> NDArray[np.float64]:
    times = np.asarray(values, dtype=np.float64)
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise _nonsense(f"leadsheet.{place} must be finite and increasing")
    if len(times) and (times[0] < 0 or times[-1] > duration_s + 10):
        raise _nonsense(f"leadsheet.{place} has times outside the song")
    return times


def _check_spans(place: str, spans: Sequence[Chord | Section], duration_s: float) -> None:
    for i, span in enumerate(spans):
        where = f"leadsheet.{place}[{i}]"
        if not (math.isfinite(span.start_s) and math.isfinite(span.end_s) and 0 <= span.start_s < span.end_s):
            raise _nonsense(f"{where} must start at 0 or later and end after its start")
        if span.start_s >= duration_s:
            raise _nonsense(f"{where} starts after the end of the song")
        if isinstance(span, Chord) and not HARTE.fullmatch(span.symbol):
            raise _nonsense(f"{where}.symbol is {span.symbol!r}, which is no chord in Harte syntax such as 'Bb:min7'")


def _check_melody(notes: tuple[MelodyNote, ...], duration_s: float) -> None:
    for i, n in enumerate(notes):
        finite = all(math.isfinite(x) for x in (n.onset_s, n.duration_s, n.confidence))
        if not (finite and 0 <= n.onset_s < duration_s and n.duration_s > 0 and 0 <= n.pitch <= 127):
            raise _nonsense(f"leadsheet.melody[{i}] lies outside the song or outside MIDI pitches 0 to 127")


def _gapless_chords(chords: tuple[Chord, ...], duration_s: float) -> tuple[Chord, ...]:
    result: list[Chord] = []
    at = 0.0
    for c in sorted(chords, key=lambda c: c.start_s):
        if c.start_s > at + 1e-3:
            result.append(Chord(at, c.start_s, "N", 0.0))
        elif result and c.start_s < at - 1e-3:
            result[-1] = replace(result[-1], end_s=c.start_s)
        result.append(replace(c, start_s=result[-1].end_s if result else 0.0, end_s=min(c.end_s, duration_s)))
        at = result[-1].end_s
    if at < duration_s - 1e-3:
        result.append(Chord(at, duration_s, "N", 0.0))
    return tuple(c for c in result if c.end_s > c.start_s)


def _gapless_sections(sections: tuple[Section, ...], duration_s: float) -> tuple[Section, ...]:
    ordered = sorted(sections, key=lambda s: s.start_s) or [Section(0.0, duration_s, "A", 0.0)]
    starts = [0.0, *(s.start_s for s in ordered[1:]), duration_s]
    spans = zip(ordered, starts, starts[1:], strict=False)
    return tuple(replace(s, start_s=a, end_s=b) for s, a, b in spans if b > a)


def _monophonic(notes: tuple[MelodyNote, ...]) -> tuple[MelodyNote, ...]:
    ordered = sorted(notes, key=lambda n: n.onset_s)
    ends = [n.onset_s for n in ordered[1:]] + [math.inf]
    cut = (replace(n, duration_s=min(n.duration_s, end - n.onset_s)) for n, end in zip(ordered, ends, strict=False))
    return tuple(n for n in cut if n.duration_s > 0)
