"""Sound in and out against soundfile and soxr themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from contrafact.audio import Audio, Recording
from contrafact.decoding import Source, open_recording
from contrafact.inputs import sha256
from contrafact.settings import Format
from contrafact.writer import Writer

RATE = 44_100
INPUTS = {
    "wav16": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wav_float": ("WAV", "FLOAT"),
    "wav_extensible": ("WAVEX", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


def tones(seconds: float = 1.5, channels: int = 2, rate: int = RATE) -> NDArray[np.float32]:
    """A different steady tone in each channel at -12 dBFS, shape (frames, channels)."""
    time_s = np.arange(round(seconds * rate)) / rate
    hertz = 220.0 * (1 + np.arange(channels))
    return np.asarray(0.25 * np.sin(2 * np.pi * time_s[:, None] * hertz), dtype=np.float32)


def opened(path: Path) -> Source:
    return open_recording(path, path.parent / "work")


@pytest.mark.parametrize("name", INPUTS)
def test_decoded_samples_are_those_of_soundfile(name: str, tmp_path: Path) -> None:
    path, (container, coding) = tmp_path / "song.bin", INPUTS[name]  # the name says nothing: the content decides
    rate = 48_000 if name == "opus" else RATE
    soundfile.write(path, tones(rate=rate), rate, format=container, subtype=coding)
    source = opened(path)
    expected, _ = soundfile.read(path, dtype="float32")
    assert source.warnings == ()
    assert (source.recording.sample_rate, source.recording.channels) == (rate, 2)
    assert source.recording.frames == len(expected)
    np.testing.assert_array_equal(source.recording.read().samples.T, expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 96_000, 192_000])
def test_extreme_rates_are_read(rate: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tones(1.2, 1, rate), rate)
    recording = opened(tmp_path / "x.wav").recording
    assert (recording.sample_rate, recording.channels, recording.frames) == (rate, 1, round(1.2 * rate))
    assert recording.mono(22_050).samples.shape == (1, round(1.2 * 22_050))


@pytest.mark.parametrize(
    ("container", "coding", "order"), [("FLAC", "PCM_16", "L R C F l r"), ("OGG", "VORBIS", "L C R l r F")]
)
def test_surround_is_mixed_down_with_centre_and_surrounds_at_minus_3_db(
    container: str, coding: str, order: str, tmp_path: Path
) -> None:
    """One speaker sounds at a time; F is the bass channel, which a downmix leaves out."""
    expected = {"L": (1, 0), "R": (0, 1), "C": (0.7071, 0.7071), "l": (0.7071, 0), "r": (0, 0.7071), "F": (0, 0)}
    speakers = order.split()
    sound = np.zeros((6 * RATE, 6))
    for i in range(6):
        sound[i * RATE : (i + 1) * RATE, i] = tones(1, 1)[:, 0]
    soundfile.write(tmp_path / "x", sound, RATE, format=container, subtype=coding)
    source = opened(tmp_path / "x")
    levels = source.recording.read().samples.reshape(2, 6, RATE)[:, :, RATE // 4 : -RATE // 4].std(axis=2).T
    shares = levels / (0.25 / 2**0.5) * (1 + 2 * 0.7071)  # the downmix is scaled so that it cannot clip
    np.testing.assert_allclose(shares, [expected[s] for s in speakers], atol=0.03)
    assert any("6 channels" in w for w in source.warnings)


@pytest.mark.parametrize(
    ("source_rate", "target_rate"), [(44_100, 22_050), (48_000, 22_050), (8_000, 22_050), (22_050, 22_050)]
)
def test_mono_equals_resampling_the_whole(source_rate: int, target_rate: int, tmp_path: Path) -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (700_001, 2)).astype("<f4")
    sound.tofile(tmp_path / "raw")
    recording = Recording(tmp_path / "raw", source_rate, 2, len(sound))
    expected = soxr.resample(sound.mean(axis=1), source_rate, target_rate)
    streamed = recording.mono(target_rate).samples
    assert streamed.shape == (1, round(len(sound) * target_rate / source_rate))
    np.testing.assert_allclose(streamed[0, : len(expected)], expected[: streamed.shape[1]], atol=1e-6)


@pytest.mark.parametrize(("format", "tolerance"), [("wav", 2**-23), ("flac", 2**-23), ("mp3", 0.02), ("ogg", 0.02)])
def test_written_files_hold_the_same_sound_and_tags(format: Format, tolerance: float, tmp_path: Path) -> None:
    tags = {"title": "Où est – 歌", "artist": "Nobody", "album": "None", "comment": "-"}
    sound = tones(2.0)
    Audio(np.ascontiguousarray(sound.T), RATE).write(tmp_path / "x", format, tags)
    read, rate = soundfile.read(tmp_path / "x", dtype="float32")
    assert rate == RATE
    assert len(read) == len(sound)
    np.testing.assert_allclose(read[2000:-2000], sound[2000:-2000], atol=tolerance)
    found = opened(tmp_path / "x").tags
    assert {k: found.get(k) for k in tags} == tags
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["x"]


def test_blocks_of_any_size_make_the_same_file(tmp_path: Path) -> None:
    sound = np.ascontiguousarray(tones(2.0).T)
    Audio(sound, RATE).write(tmp_path / "whole.flac", "flac")
    with Writer(tmp_path / "blocks.flac", RATE, 2, "flac") as writer:
        for start, stop in ((0, 1), (1, 1), (1, 50_000), (50_000, sound.shape[1])):
            writer.write(sound[:, start:stop])
    assert sha256(tmp_path / "whole.flac") == sha256(tmp_path / "blocks.flac")


def test_tags_of_the_source_are_returned(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "x.flac", "w", RATE, 1) as file:
        file.title, file.artist, file.date, file.tracknumber = "A \n title", "Ä", "1920", "7"
        file.write(tones(1.1, 1))
    assert opened(tmp_path / "x.flac").tags == {"title": "A   title", "artist": "Ä", "date": "1920", "tracknumber": "7"}
