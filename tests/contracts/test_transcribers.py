"""Frame times that hold over whole songs, odd inputs, and a missing or changed model file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.errors import MissingError, SettingsError
from contrafact.registry import TRANSCRIBERS
from contrafact.runtime import ModelFile
from contrafact.score import Transcription
from contrafact.transcribers import basic_pitch as bp
from contrafact.transcribers._notes import Decoding, decode


class Clock:
    """Stands in for the network: every output is the input's value at the centre of the frame."""

    def run(self, _: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        centres = inputs[bp.INPUT][:, : bp.FRAMES * bp.HOP : bp.HOP]
        return [np.repeat(centres, bins, axis=2) for bins in (88, 88, 264)]


def tones(onsets: list[float], pitches: list[int], duration_s: float) -> Audio:
    """Decaying tones with harmonics at known times, silence between."""
    out = np.zeros(int(duration_s * 22_050), np.float32)
    t = np.arange(11_025) / 22_050
    for onset, pitch in zip(onsets, pitches, strict=True):
        f = 440 * 2 ** ((pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * f * k * t) / k for k in (1, 2, 3, 4, 5)) * np.exp(-5 * t)
        at = round(onset * 22_050)
        room = out[at : at + len(t)]
        room += 0.2 * wave[: len(room)].astype(np.float32)
    return Audio(out[None], 22_050)


def hear(audio: Audio, name: str = "basic_pitch", **settings: object) -> Transcription:
    return TRANSCRIBERS.build(name, **settings)(audio)


EVERY = pytest.mark.parametrize("name", TRANSCRIBERS.names())


@pytest.mark.parametrize("seconds", [0.01, 1.0, 1.64, 3.3, 601.7])
def test_frames_keep_time_over_a_whole_song(seconds: float) -> None:
    samples = (np.arange(int(seconds * 22_050)) / 22_050).astype(np.float32)  # each sample's value is its time
    heard = bp.activations(Clock(), samples, threads=2)  # type: ignore[arg-type]
    times = bp.frame_times(len(heard.note))
    inside = times < samples[-1]
    np.testing.assert_allclose(heard.note[inside, 0], times[inside], atol=1e-4)
    frames = len(samples) // bp.HOP + 1
    even = bp.make_even(heard.contour, frames)
    within = np.arange(frames) / bp.FRAME_RATE < times[inside].max(initial=0)
    np.testing.assert_allclose(even[within, 5], np.arange(frames)[within] / bp.FRAME_RATE, atol=2e-4)
    assert seconds - times[-1] < 2 / bp.FRAME_RATE  # the end of the song is heard too


def assert_on_time(heard: Transcription, onsets: list[float], pitches: list[int]) -> None:
    """Single notes may err by two frames or three, their median by less than one."""
    errors = []
    for onset, pitch in zip(onsets, pitches, strict=True):
        errors.append(min((n.onset_s - onset for n in heard.score.parts[0].notes if n.pitch == pitch), key=abs))
        near = round(onset * heard.frame_rate)
        peak = near - 8 + int(heard.onset[near - 8 : near + 9, pitch - 21].argmax())
        assert abs(peak / heard.frame_rate - onset) < 0.03
        bins = heard.contour[near + 5 : near + 20].mean(axis=0)
        assert abs(int(bins.argmax()) - (3 * (pitch - 21) + 1)) <= 1
    assert np.abs(errors).max() < 0.03
    assert abs(np.median(errors)) < 1 / heard.frame_rate


def test_tones_are_heard_where_they_are() -> None:
    onsets, pitches = [0.7, 1.9, 3.61, 5.2, 7.33, 8.9, 11.2], [60, 67, 52, 72, 64, 57, 76]
    assert_on_time(hear(tones(onsets, pitches, 12)), onsets, pitches)


@pytest.mark.slow
def test_tones_late_in_a_long_song_are_heard_where_they_are() -> None:
    onsets = [1.0, 2.3, 120.4, 121.9, 236.2, 237.4, 238.55]
    pitches = [60, 67, 52, 72, 64, 57, 76]
    assert_on_time(hear(tones(onsets, pitches, 240)), onsets, pitches)


@EVERY
def test_tones_are_heard_by_everybody(name: str) -> None:
    onsets, pitches = [0.7, 1.9, 3.61, 5.2, 7.33], [60, 67, 52, 72, 64]
    notes = hear(tones(onsets, pitches, 9), name).score.parts[0].notes
    for onset, pitch in zip(onsets, pitches, strict=True):
        assert any(n.pitch == pitch and abs(n.onset_s - onset) < 0.05 for n in notes), (onset, pitch)


@EVERY
def test_results_do_not_depend_on_threads(name: str) -> None:
    audio = tones([0.5, 4.4, 9.2], [60, 64, 67], 80)
    one, two = hear(audio, name, threads=1), hear(Audio(audio.samples.copy(), 22_050), name, threads=2)
    np.testing.assert_array_equal(one.note, two.note)
    assert one.score == two.score


@EVERY
def test_stereo_at_another_rate_is_the_same_music(name: str) -> None:
    mono = tones([0.5, 1.5, 2.5], [60, 64, 67], 4)
    stereo = Audio(np.repeat(np.repeat(mono.samples, 2, axis=1), 2, axis=0), 44_100)
    notes = hear(stereo, name).score.parts[0].notes
    assert {n.pitch for n in notes} >= {60, 64, 67}
    assert [n.pitch for n in notes] == [n.pitch for n in hear(mono, name).score.parts[0].notes]


@EVERY
@pytest.mark.parametrize("samples", [0, 1, 255, 22_050])
def test_silence_of_any_length_holds_no_notes(samples: int, name: str) -> None:
    heard = hear(Audio(np.zeros((1, samples), np.float32), 22_050), name)
    assert not heard.score.parts[0].notes
    assert len(heard.note) == int(samples / 22_050 * heard.frame_rate + 1e-9) + 1
    assert np.isfinite(heard.note).all()


def test_settings_are_strict() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'threads'"):
        TRANSCRIBERS.build("basic_pitch", thread=2)
    with pytest.raises(SettingsError):
        TRANSCRIBERS.build("basic_pitch", decoding={"onset_threshold": 1.5})


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ({}, [60, 64]),
        ({"onset_threshold": 0.3}, [60, 62, 64]),
        ({"onset_threshold": 0.7}, [64]),
        ({"note_threshold": 0.1}, [60, 64, 66]),
        ({"note_threshold": 0.5}, [64]),
        ({"shortest_frames": 4}, [60, 64, 68]),
        ({"shortest_frames": 38}, [60, 64]),
        ({"shortest_frames": 39}, [64]),
    ],
)
def test_each_threshold_decides_which_notes_are_found(settings: dict[str, float], heard: list[int]) -> None:
    """Four notes with an onset, each doubtful in its own way, and one that nothing is wrong with."""
    onset, note = np.zeros((2, 100, 88), np.float32)
    for pitch, strength, loudness, frames in (
        (60, 0.6, 0.4, 39),
        (62, 0.4, 0.4, 39),
        (64, 0.9, 0.9, 60),
        (66, 0.9, 0.2, 39),
        (68, 0.9, 0.4, 8),
    ):
        onset[10, pitch - 21] = strength
        note[10 : 10 + frames, pitch - 21] = loudness
    found = decode(onset, note, Decoding(follow_rest=False, **settings))
    assert sorted(n.pitch for n in found) == heard


def test_missing_package_names_the_command() -> None:
    with pytest.raises(MissingError, match="pip install --no-deps absent"):
        ModelFile("no_such_package_here", "model.onnx", "", ("--no-deps", "absent")).locate()


def test_another_file_under_the_models_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "brings_a_model"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "model.onnx").write_bytes(b"not the model")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingError) as error:
        ModelFile("brings_a_model", "model.onnx", "0" * 64, ("brings-a-model",)).locate()
    assert error.value.code == "MODEL_CHANGED"


def test_the_models_package_is_never_imported() -> None:
    code = (
        "import sys; from contrafact.registry import TRANSCRIBERS as t; t.build('basic_pitch'); "
        "sys.exit(any(m in sys.modules for m in ('basic_pitch', 'librosa', 'torch', 'tensorflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
