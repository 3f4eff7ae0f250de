"""Sound that is hardly a song still gives a whole cover, and a warning where it is mostly guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

from contrafact.audio import SoundFile
from contrafact.cover import cover, leadsheet, transcribe
from contrafact.errors import SettingsError
from contrafact.files import PARTIAL_PREFIX
from contrafact.hearing import excerpt, heard
from contrafact.leadsheet import from_json, to_json
from contrafact.midi import read_midi
from contrafact.report.facts import NO_MUSIC, doubts
from contrafact.score import BeatGrid, Note, Part, Score, Transcription
from contrafact.settings import Reader, Settings

RATE = 22_050
SECONDS = 8.0


def time_axis(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    return np.arange(int(seconds * rate)) / rate


def notes(pitches: list[float], each_s: float, rate: int = RATE, seconds: float = SECONDS) -> np.ndarray:
    """A plucked line: pitches in Hz in turn, each fading."""
    t = time_axis(seconds, rate)
    index = (t / each_s).astype(int)
    hz = np.array([pitches[i % len(pitches)] for i in range(index.max() + 1)])[index]
    return 0.4 * np.sin(2 * np.pi * hz * t) * np.exp(-4 * (t % each_s))


def clicks(times: np.ndarray, seconds: float = SECONDS) -> np.ndarray:
    sound = np.zeros(int(seconds * RATE))
    burst = np.random.default_rng(0).standard_normal(400) * np.exp(-np.arange(400) / 60)
    for at in times:
        start = int(at * RATE)
        sound[start : start + 400] += 0.4 * burst[: len(sound) - start][: len(sound[start : start + 400])]
    return sound


def accelerating() -> np.ndarray:
    return clicks(np.cumsum(np.linspace(0.7, 0.25, 16)))


def five_four() -> np.ndarray:
    beat = 0.4
    times = np.arange(0, SECONDS - 0.1, beat)
    return 0.5 * clicks(times) + clicks(times[::5]) + notes([220, 247, 262, 294, 330], beat)


def voice_alone() -> np.ndarray:
    t = time_axis()
    hz = (
        220
        * 2 ** (np.array([0, 4, 7, 4, 5, 2, 0, 0])[(t).astype(int) % 8] / 12)
        * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * t))
    )
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    return 0.3 * sum(np.sin(k * phase) / k for k in range(1, 8)) * (np.sin(np.pi * (t % 1)) ** 0.5)


def noise(seed: int, is_pink: bool) -> np.ndarray:
    """White, or with as much power in each octave."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(int(SECONDS * RATE)))
    if is_pink:
        spectrum /= np.sqrt(np.arange(len(spectrum)) + 1)
    sound = np.fft.irfft(spectrum)
    return 0.2 * sound / sound.std()


SOUNDS: dict[str, Callable[[], tuple[np.ndarray, int]]] = {
    "white noise": lambda: (noise(1, is_pink=False), RATE),
    "one second": lambda: (notes([262, 330, 392], 0.25, seconds=1.0), RATE),
    "two seconds": lambda: (notes([262, 330, 392], 0.25, seconds=2.0), RATE),
    "one steady tone": lambda: (0.3 * np.sin(2 * np.pi * 440 * time_axis()), RATE),
    "clicks that accelerate": lambda: (accelerating(), RATE),
    "five four": lambda: (five_four(), RATE),
    "a voice alone": lambda: (voice_alone(), RATE),
    "square at full scale": lambda: (np.sign(np.sin(2 * np.pi * 110 * time_axis())), RATE),
    "offset": lambda: (0.5 + notes([262, 330], 0.5) * 0.5, RATE),
    "8 kHz": lambda: (notes([262, 330, 392], 0.5, rate=8000), 8000),
    "192 kHz": lambda: (notes([262, 330, 392], 0.5, rate=192_000), 192_000),
    "six channels": lambda: (np.stack([notes([262 * k, 330 * k], 0.5) for k in range(1, 7)], axis=1), RATE),
    "silence, then music": lambda: (np.concatenate([np.zeros(5 * RATE), notes([262, 330, 392], 0.5)]), RATE),
    "music, then silence": lambda: (np.concatenate([notes([262, 330, 392], 0.5), np.zeros(5 * RATE)]), RATE),
    "very quiet": lambda: (notes([262, 330, 392], 0.5) * 0.004, RATE),
}


@pytest.mark.parametrize("style", ["jazz-trio", "jazz-waltz"])
@pytest.mark.parametrize("name", SOUNDS)
def test_an_odd_sound_gives_a_whole_cover(name: str, style: str, tmp_path: Path) -> None:
    sound, rate = SOUNDS[name]()
    song = tmp_path / f"{name}.wav"
    soundfile.write(song, sound, rate, subtype="FLOAT")
    made = cover(song, tmp_path / "out", Settings(style=style))
    mixed = SoundFile.of(made.folder / "cover.wav")
    assert mixed.duration_s == pytest.approx(len(sound) / rate, abs=1e-3)
    samples = mixed.read().samples
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 10 ** (-1 / 20)
    assert not list((tmp_path / "out").glob(f"{PARTIAL_PREFIX}*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clicks that accelerate", ["melody"]),
        ("six channels", ["channel"]),
        ("white noise", [NO_MUSIC, "Another song would score as high"]),
    ],
)
def test_a_poor_guess_is_said(name: str, words: list[str], tmp_path: Path) -> None:
    sound, rate = SOUNDS[name]()
    song = tmp_path / "song.wav"
    soundfile.write(song, sound, rate, subtype="FLOAT")
    made = cover(song, tmp_path / "out")
    for word in words:
        assert any(word in w["message"] for w in made.report["warnings"]), made.report["warnings"]


def test_the_cover_of_a_song_that_fades_out_does_too(tmp_path: Path) -> None:
    plain = notes([262, 330, 392, 330], 0.5, seconds=24.0)
    fallen = np.minimum(1, (24.0 - time_axis(24.0)) / 10)
    levels = {}
    again = np.concatenate([plain * fallen, plain])
    for name, sound, preview_s in (("plain", plain, 0.0), ("fading", plain * fallen, 0.0), ("excerpt", again, 24.0)):
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE, subtype="FLOAT")
        made = cover(tmp_path / f"{name}.wav", tmp_path / "out", Settings(preview_s=preview_s))
        mixed = SoundFile.of(made.folder / "cover.wav")
        middle, end = (
            mixed.read().samples[:, int(at * mixed.sample_rate) :][:, : mixed.sample_rate] for at in (10, 22)
        )
        levels[name] = 10 * np.log10(np.square(end).mean() / np.square(middle).mean())
    assert levels["plain"] > -6
    assert levels["fading"] < levels["plain"] - 8
    assert levels["excerpt"] > -6, "an excerpt has no end"


def test_a_preview_hears_the_whole_song(tmp_path: Path) -> None:
    """Eight seconds in C, then more than a minute in A flat: the preview is not of a song in C."""
    flat = [notes([415, 523, 622, 523], 0.5, seconds=20.0), notes([277, 349, 415, 349], 0.5, seconds=20.0)]
    sound = np.concatenate([notes([262, 330, 392, 330], 0.5, seconds=8.0), *flat, *flat])
    soundfile.write(tmp_path / "song.wav", sound, RATE)
    with heard(tmp_path / "song.wav") as song:
        whole = leadsheet(song, transcribe(song))
    assert whole.key in ("Ab:maj", "F:min")
    made = cover(tmp_path / "song.wav", tmp_path / "out", Settings(preview_s=8.0))
    assert (made.folder / "leadsheet.json").read_text() == to_json(whole.until(8.0))
    assert SoundFile.of(made.folder / "cover.wav").duration_s == pytest.approx(8)
    sheet = from_json((made.folder / "leadsheet.json").read_text())
    assert sheet.key == whole.key
    assert sheet.duration_s == sheet.chords[-1].end_s == sheet.sections[-1].end_s == 8
    assert max(n.onset_s + n.duration_s for n in sheet.melody) <= 8
    assert 8 <= sheet.beats_s[-1] < 9
    played = {p.name: p.notes for p in read_midi(made.folder / "cover.mid").parts}
    take = {
        p.name: p.notes for p in read_midi(cover(tmp_path / "song.wav", tmp_path / "out").folder / "cover.mid").parts
    }
    for name, notes_of in take.items():
        begun = [(n.onset_s, n.pitch, n.velocity) for n in notes_of if n.onset_s < 7.9]
        found = [(n.onset_s, n.pitch, n.velocity) for n in played[name] if n.onset_s < 7.9]
        np.testing.assert_allclose(found, begun, atol=0.002)
    (tmp_path / "whole.json").write_text(to_json(whole))
    again = cover(tmp_path / "song.wav", tmp_path / "edited", Settings(preview_s=8.0), edited=tmp_path / "whole.json")
    assert (again.folder / "leadsheet.json").read_text() == to_json(whole.until(8.0))


def test_an_excerpt_is_the_beginning_of_all_that_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", np.stack([notes([262, 330], 0.5, seconds=6.0)] * 2, axis=1), RATE)
    with heard(tmp_path / "song.wav") as song:
        assert excerpt(song, 0.0) is excerpt(song, 6.0) is song
        begun = excerpt(song, 2.5)
        recording = begun.source.recording
        assert recording.duration_s == begun.analysis.duration_s == 2.5
        assert recording.path.stat().st_size == recording.frames * recording.channels * 4
        np.testing.assert_array_equal(begun.analysis.samples, song.analysis.samples[:, : round(2.5 * RATE)])


def test_what_is_heard_of_a_part_begins_at_zero_and_ends_with_it() -> None:
    lines = tuple(Note(onset_s, 1.0, 60, 90) for onset_s in (0.5, 1.5, 2.5, 3.5))
    score = Score((Part("piano", 0, lines, pedals=((0.0, 9.0),)),), BeatGrid(np.arange(5.0), np.arange(5), 1))
    planes = (np.random.default_rng(0).random((40, bins)).astype(np.float32) for bins in (88, 88, 264))
    whole = Transcription(score, 10.0, *planes)
    part = whole.between(10, 30)
    assert [(n.onset_s, n.duration_s) for n in part.score.parts[0].notes] == [(0.5, 1.0), (1.5, 0.5)]
    assert part.score.grid is None
    assert part.score.parts[0].pedals == ()
    for name in ("onset", "note", "contour"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[10:30])
    assert whole.until(2.0).score.end_s == 2.0
    assert score.until(2.0).parts[0].pedals == ((0.0, 2.0),)


@pytest.mark.parametrize("seconds", [5.0, 11.5])
def test_a_preview_that_ends_before_the_music_begins_is_refused(seconds: float, tmp_path: Path) -> None:
    sound = np.concatenate([np.zeros(RATE * 12), notes([262, 330, 392, 330], 0.5, seconds=20.0)])
    soundfile.write(tmp_path / "song.wav", sound, RATE)
    with pytest.raises(SettingsError, match=r"begins at 1[12]\.\d s, after the preview of") as refused:
        cover(tmp_path / "song.wav", tmp_path / "out", Settings(preview_s=seconds))
    assert refused.value.code == "PREVIEW_SILENT"
    assert not list((tmp_path / "out").glob("*"))


def test_a_sheet_of_another_length_than_the_preview_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", notes([262, 330, 392, 330], 0.5, seconds=20.0), RATE)
    with heard(tmp_path / "song.wav") as song:
        whole = leadsheet(song, transcribe(song))
    (tmp_path / "few.json").write_text(to_json(whole.until(9.0)))
    with pytest.raises(SettingsError, match=r"for 9\.0 s of music, but the song has 20\.0 s, and its preview 12\.0 s"):
        cover(tmp_path / "song.wav", tmp_path / "out", Settings(preview_s=12.0), edited=tmp_path / "few.json")
    made = cover(tmp_path / "song.wav", tmp_path / "out", Settings(preview_s=8.5), edited=tmp_path / "few.json")
    assert from_json((made.folder / "leadsheet.json").read_text()).duration_s == 8.5


@pytest.mark.parametrize("before_s", [3.7, 12.0])
def test_nothing_is_played_before_the_music_begins(before_s: float, tmp_path: Path) -> None:
    """Silence in front, and music that begins between two beats of what its tempo would be from the file's start."""
    sound = np.concatenate([np.zeros(round(RATE * before_s)), notes([262, 330, 392, 330], 0.5, seconds=20.0)])
    soundfile.write(tmp_path / "song.wav", sound, RATE)
    made = cover(tmp_path / "song.wav", tmp_path / "out")
    first_s = min(n.onset_s for p in read_midi(made.folder / "cover.mid").parts for n in p.notes)
    assert before_s - 0.1 < first_s < before_s + 1.1
    early = SoundFile.of(made.folder / "cover.wav").read().samples[:, : round(44_100 * (before_s - 0.15))]
    assert np.abs(early).max() < 1e-3


def told_of(sound: np.ndarray, rate: int, folder: Path, reader: Reader) -> list[str]:
    """What a user is told of the lead sheet of a sound."""
    soundfile.write(folder / "song.wav", sound, rate, subtype="FLOAT")
    settings = Settings(reader=reader)
    with heard(folder / "song.wav") as song:
        return doubts(leadsheet(song, transcribe(song, settings), settings))


@pytest.mark.parametrize("is_pink", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_told_from_music(seed: int, is_pink: bool, tmp_path: Path) -> None:
    assert told_of(noise(seed, is_pink), RATE, tmp_path, Settings().reader) == [NO_MUSIC]


@pytest.mark.parametrize("name", ["one second", "one steady tone", "five four", "a voice alone", "very quiet"])
@pytest.mark.parametrize("reader", get_args(Reader))
def test_music_is_told_from_noise(reader: Reader, name: str, tmp_path: Path) -> None:
    assert NO_MUSIC not in told_of(*SOUNDS[name](), tmp_path, reader)
