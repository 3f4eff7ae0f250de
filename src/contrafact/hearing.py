"""A song as the stages take it in: a recording decoded, or a MIDI file played."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.decoding import MAX_S, Source, open_recording
from contrafact.inputs import sha256
from contrafact.midi import is_midi, read_midi
from contrafact.mixer import Channel, Room, mix
from contrafact.registry import RENDERERS
from contrafact.renderers.soundfont import soundfont_id
from contrafact.score import Score

TAIL_S = 2.0


@dataclass(frozen=True)
class Heard:
    """A song as the stages take it in.

    Attributes:
        digest: SHA-256 of the file.
        source: the decoded recording, its tags and warnings.
        analysis: the same in mono at `ANALYSIS_RATE`.
        score: the notes of a MIDI file; None for recordings, which are transcribed.
        played_by: the soundfont that played a MIDI file, "" for recordings.
    """

    digest: str
    source: Source
    analysis: Audio
    score: Score | None = None
    played_by: str = ""


def hear(song: Path, scratch: Path, soundfont: str = "", digest: str = "") -> Heard:
    """Decode a recording, or read a MIDI file and play it, into the folder ``scratch``."""
    score = None
    if is_midi(song):
        score = read_midi(song)
        source = replace(played(score, scratch, soundfont), tags={"title": song.stem}, format="MIDI")
    else:
        source = open_recording(song, scratch)
    played_by = soundfont_id(soundfont) if score else ""
    return Heard(digest or sha256(song), source, source.recording.mono(ANALYSIS_RATE), score, played_by)


@contextmanager
def heard(song: Path) -> Iterator[Heard]:
    """A song decoded into a temporary folder, for single stages."""
    with tempfile.TemporaryDirectory(prefix="contrafact-") as scratch:
        yield hear(song, Path(scratch))


def played(score: Score, scratch: Path, soundfont: str = "") -> Source:
    """A score played with sampled instruments, all parts equally loud, into the folder ``scratch``."""
    duration_s = min(score.end_s + TAIL_S, MAX_S)  # a file of the greatest length has no room for a tail
    parts = RENDERERS.build("soundfont", soundfont=soundfont)(score, scratch, duration_s)
    folder = scratch / "played"
    folder.mkdir()
    return open_recording(mix(parts, {name: Channel() for name in parts}, Room(), folder).cover, scratch)


def excerpt(heard: Heard, seconds: float) -> Heard:
    """The first ``seconds`` of a song as it sounds; the song itself where it is no longer, or for 0.

    The recording's file on disk is ours, and is cut with it. A MIDI file's notes stay whole.
    """
    recording, analysis = heard.source.recording, heard.analysis
    frames = round(seconds * recording.sample_rate)
    if not seconds or frames >= recording.frames:
        return heard
    os.truncate(recording.path, frames * recording.channels * 4)
    source = replace(heard.source, recording=replace(recording, frames=frames))
    samples = analysis.samples[:, : round(seconds * analysis.sample_rate)]
    return replace(heard, source=source, analysis=replace(analysis, samples=samples))
