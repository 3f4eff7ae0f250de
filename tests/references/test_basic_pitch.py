"""The transcriber against the program that its network comes from, on real and on synthesized audio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from mir_eval.transcription import precision_recall_f1_overlap
from mir_eval.util import midi_to_hz

from contrafact.audio import Audio
from contrafact.registry import TRANSCRIBERS
from contrafact.runtime import open_session
from contrafact.transcribers import basic_pitch as ours
from contrafact.transcribers._notes import Decoding, decode

program = pytest.importorskip("basic_pitch.inference", reason="the package basic-pitch is not installed")
DATA = Path(os.environ.get("CONTRAFACT_DATA") or Path("..") / "shared" / "data")


def real_excerpt() -> np.ndarray:
    """20 s of a song, mono, 22,050 Hz; an odd length, so that no border falls on a frame."""
    path = DATA / "audio_everythingisfree" / "sodium" / "mix.ogg"
    if not path.is_file():
        pytest.skip(f"no real audio: {path} is absent (set CONTRAFACT_DATA)")
    samples, rate = soundfile.read(path, start=44_100 * 30, frames=44_100 * 20, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, 22_050)[: 20 * 22_050 - 77]


def synthesized_piece() -> np.ndarray:
    """20 s of decaying tones with four harmonics, chords and a tune, seeded."""
    rng = np.random.default_rng(3)
    out = np.zeros(20 * 22_050, np.float32)
    for onset in np.arange(0.3, 19, 0.35):
        for pitch in rng.integers(40, 84, size=rng.integers(1, 4)):
            t = np.arange(int(0.6 * 22_050)) / 22_050
            wave = sum(np.sin(2 * np.pi * midi_to_hz(pitch) * k * t) / k for k in (1, 2, 3, 4)) * np.exp(-4 * t)
            at = int(onset * 22_050)
            room = out[at : at + len(t)]
            room += 0.1 * wave[: len(room)].astype(np.float32)
    return out


@pytest.fixture(scope="module", params=[real_excerpt, synthesized_piece], ids=["real", "synthesized"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, Any, Any]:
    """(samples, the program's activations, its notes as (onset_s, end_s, pitch, ...))."""
    samples = request.param()
    path = tmp_path_factory.mktemp("audio") / "excerpt.wav"
    soundfile.write(path, samples, 22_050, subtype="FLOAT")
    output, _, events = program.predict(path, ours.MODEL.locate())
    return samples, output, events


def test_activations_are_the_programs(case: tuple[np.ndarray, Any, Any]) -> None:
    samples, theirs, _ = case
    heard = ours.activations(open_session(ours.MODEL.locate()), samples, threads=2)
    for name, expected in theirs.items():
        actual = getattr(heard, name)
        assert len(actual) >= len(expected)
        np.testing.assert_allclose(actual[: len(expected)], expected, atol=1e-4)


@pytest.mark.parametrize("follow_rest", [True, False])
def test_decoding_finds_exactly_the_programs_notes(case: tuple[np.ndarray, Any, Any], follow_rest: bool) -> None:
    _, theirs, _ = case
    notes = decode(theirs["onset"], theirs["note"], Decoding(follow_rest=follow_rest))
    found = program.infer.output_to_notes_polyphonic(
        theirs["note"], theirs["onset"], 0.5, 0.3, 11, True, None, None, follow_rest
    )
    assert [(n.start, n.end, n.pitch) for n in notes] == [(a, b, pitch) for a, b, pitch, _ in found]
    np.testing.assert_allclose([n.amplitude for n in notes], [amplitude for *_, amplitude in found], atol=1e-5)


def test_notes_agree_with_the_programs(case: tuple[np.ndarray, Any, Any]) -> None:
    samples, _, events = case
    notes = TRANSCRIBERS.build("basic_pitch")(Audio(samples[None], 22_050)).score.parts[0].notes
    assert len(notes) >= 20
    ours_ = np.array([(n.onset_s, n.end_s) for n in notes]), midi_to_hz(np.array([n.pitch for n in notes]))
    theirs = np.array([e[:2] for e in events]), midi_to_hz(np.array([e[2] for e in events]))
    *_, f1, _ = precision_recall_f1_overlap(*theirs, *ours_, onset_tolerance=0.05, offset_ratio=None)
    assert f1 >= 0.98
