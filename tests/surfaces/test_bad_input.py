"""Bad input ends in a usable recording with a warning, or in a typed error; no decoded file is left over."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import socket
import stat
import struct
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from contrafact import _parse_audio, decoding, errors, inputs
from contrafact.decoding import Source, open_recording
from contrafact.errors import ContrafactError, InputError, MissingError, OutputError
from contrafact.midi import is_midi, read_midi

RATE = 44_100
Sound = NDArray[np.float32]


def tone(seconds: float = 1.5, rate: int = RATE, level: float = 0.25) -> Sound:
    return np.asarray(level * np.sin(2 * np.pi * 330 * np.arange(round(seconds * rate)) / rate), dtype=np.float32)


def wave(path: Path, sound: NDArray[np.floating], rate: int = RATE, **settings: str) -> Path:
    soundfile.write(path, sound, rate, **{"format": "WAV", "subtype": "FLOAT", **settings})
    return path


def opened(path: Path) -> Source:
    return open_recording(path, path.parent / "work")


def check_refused(path: Path, code: str) -> ContrafactError:
    with pytest.raises(ContrafactError) as caught:
        opened(path)
    error = caught.value
    assert error.code == code
    assert error.sentence.endswith(".")
    assert error.next_step.endswith(".")
    assert str(error).isprintable()
    work = path.parent / "work"
    assert not work.exists() or list(work.iterdir()) == []
    return error


def written(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("INPUT_MISSING", lambda path: None),
    "empty": ("INPUT_EMPTY", written(b"")),
    "one byte": ("INPUT_FORMAT", written(b"R")),
    "text": ("INPUT_FORMAT", written(b"Twinkle, twinkle, little star\n" * 50)),
    "garbage": ("INPUT_FORMAT", written(bytes(range(7, 250)) * 400)),
    "zeros": ("INPUT_FORMAT", written(bytes(100_000))),
    "folder": ("INPUT_NOT_A_FILE", Path.mkdir),
    "pipe": ("INPUT_NOT_A_FILE", os.mkfifo),
    "socket": ("INPUT_NOT_A_FILE", unix_socket),
    "device": ("INPUT_NOT_A_FILE", lambda path: path.symlink_to("/dev/zero")),
    "dangling link": ("INPUT_MISSING", lambda path: path.symlink_to("nowhere")),
    "header without sound": ("INPUT_TOO_SHORT", lambda path: wave(path, np.zeros(0))),
    "half a second": ("INPUT_TOO_SHORT", lambda path: wave(path, tone(0.5))),
    "digital silence": ("INPUT_SILENT", lambda path: wave(path, np.zeros(2 * RATE))),
    "below -70 dBFS": ("INPUT_SILENT", lambda path: wave(path, tone(level=1e-4))),
    "constant offset alone": ("INPUT_SILENT", lambda path: wave(path, np.full(2 * RATE, 0.5))),
    "not a number": ("INPUT_NOT_FINITE", lambda path: wave(path, np.full(2 * RATE, np.nan))),
    "infinite": ("INPUT_NOT_FINITE", lambda path: wave(path, np.full(2 * RATE, np.inf))),
    "rate too low": ("INPUT_RATE", lambda path: wave(path, tone(), 4_000)),
    "rate too high": ("INPUT_RATE", lambda path: wave(path, tone(), 384_000)),
    "too many channels": ("INPUT_CHANNELS", lambda path: wave(path, np.tile(tone()[:, None], (1, 40)))),
    "known but not sound": ("INPUT_FORMAT", lambda path: wave(path, tone(), format="MAT5")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_input_is_refused_by_code(case: str, tmp_path: Path) -> None:
    code, make = REFUSED[case]
    make(tmp_path / "song.wav")
    check_refused(tmp_path / "song.wav", code)


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wave(tmp_path / "song.wav", tone())
    path.chmod(0)
    if os.geteuid() == 0:  # root may read it all the same

        def deny(*_: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(inputs.os, "open", deny)
    with pytest.raises(InputError) as caught:
        opened(path)
    assert caught.value.code == "INPUT_DENIED"


def flac_of_silence(path: Path, seconds: int, announced: bool) -> None:
    """A small file that unpacks to any length; its header may say so, or may leave the length open."""
    with soundfile.SoundFile(path, "w", 8_000, 1, format="FLAC", subtype="PCM_16") as file:
        for start in range(0, seconds, 600):
            file.write(np.zeros(8_000 * min(600, seconds - start), dtype=np.float32))
    if not announced:
        data = bytearray(path.read_bytes())
        data[21] &= 0xF0  # STREAMINFO, 36 bits of total samples: 0 means unknown
        data[22:26] = bytes(4)
        path.write_bytes(data)


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_longest_is_refused(announced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_S", 10.0)
    flac_of_silence(tmp_path / "bomb.flac", 11, announced)
    check_refused(tmp_path / "bomb.flac", "INPUT_TOO_LONG")


@pytest.mark.slow
@pytest.mark.parametrize("announced", [True, False])
def test_more_than_three_hours_are_refused(announced: bool, tmp_path: Path) -> None:
    flac_of_silence(tmp_path / "bomb.flac", 3 * 3600 + 60, announced)
    assert (tmp_path / "bomb.flac").stat().st_size < 1 << 20
    check_refused(tmp_path / "bomb.flac", "INPUT_TOO_LONG")


def test_few_unusable_samples_become_silence(tmp_path: Path) -> None:
    sound = tone()
    sound[1000:1010], sound[2000], sound[3000] = np.nan, np.inf, 1e30
    source = opened(wave(tmp_path / "x.wav", sound))
    expected = np.where(np.abs(sound) < 1, sound, 0)
    np.testing.assert_array_equal(source.recording.read().samples[0], expected)
    assert any("no usable numbers" in w for w in source.warnings)


def test_integers_stored_as_floats_are_scaled_down(tmp_path: Path) -> None:
    source = opened(wave(tmp_path / "x.wav", tone(level=30_000)))
    samples = source.recording.read().samples
    assert 0.99 < np.abs(samples).max() <= 1.0
    assert any("scaled down" in w for w in source.warnings)


def test_full_scale_square_works_with_a_warning(tmp_path: Path) -> None:
    source = opened(wave(tmp_path / "x.wav", np.sign(tone() + 1e-9), subtype="PCM_16"))
    assert any("clipped" in w for w in source.warnings)


def test_offset_works_with_a_warning(tmp_path: Path) -> None:
    source = opened(wave(tmp_path / "x.wav", tone() + 0.3))
    assert any("offset" in w for w in source.warnings)


def test_opposite_polarity_does_not_cancel(tmp_path: Path) -> None:
    source = opened(wave(tmp_path / "x.wav", np.stack([tone(), -tone()], axis=1)))
    assert np.abs(source.recording.mono(RATE).samples).max() > 0.2
    assert any("polarity" in w for w in source.warnings)


@pytest.mark.parametrize(
    ("container", "coding"),
    [
        ("WAV", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
    ],
)
def test_truncated_file_gives_what_is_left(container: str, coding: str, tmp_path: Path) -> None:
    rate = 48_000
    noise = np.random.default_rng(0).normal(0, 0.1, 6 * rate)
    whole = wave(tmp_path / "whole", noise, rate, format=container, subtype=coding).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    source = opened(tmp_path / "half")
    assert 1.5 < source.recording.duration_s < 4
    told = "of the 6.0 s that it announces" if container != "OGG" else f"the {source.recording.duration_s:.1f} s that"
    assert [told in w for w in source.warnings] == [True]
    assert "cut off or damaged" in source.warnings[0]
    assert opened(tmp_path / "whole").warnings == ()
    (tmp_path / "stub").write_bytes(whole[: len(whole) // 20])
    shutil.rmtree(tmp_path / "work")
    with pytest.raises(InputError) as caught:
        opened(tmp_path / "stub")
    assert caught.value.code in ("INPUT_TOO_SHORT", "INPUT_FORMAT")


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_announces_nothing_is_cut_where_its_last_frame_is(rate: int, mode: str, tmp_path: Path) -> None:
    """Without the table of contents, which is in its first frame."""
    noise = np.random.default_rng(0).normal(0, 0.1, 6 * rate)
    coding = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": mode, "compression_level": 0.5}
    data = wave(tmp_path / "x.mp3", noise, rate, **coding).read_bytes()
    frames = data[_parse_audio.mp3_frame_bytes(data[:4]) :]
    assert b"Xing" not in frames
    assert b"Info" not in frames
    for tag in (b"", b"TAG".ljust(128, b"\0")):
        (tmp_path / "x.mp3").write_bytes(frames + tag)
        assert opened(tmp_path / "x.mp3").warnings == ()
    for lost in (1, 50, len(frames) // 3 // 24 * 24 + 7):
        (tmp_path / "x.mp3").write_bytes(frames[:-lost])
        source = opened(tmp_path / "x.mp3")
        assert [f"the {source.recording.duration_s:.1f} s that could be decoded" in w for w in source.warnings] == [
            True
        ]


def test_an_mp3_is_not_cut_by_what_looks_like_a_header_in_its_tags(tmp_path: Path) -> None:
    data = wave(tmp_path / "x.mp3", tone(), format="MP3", subtype="MPEG_LAYER_III").read_bytes()
    chance = b"\xff\xfb\x90\x00"
    assert _parse_audio.mp3_frame_bytes(chance) > len(b"TAG" + chance)
    (tmp_path / "x.mp3").write_bytes(data + bytes(_parse_audio.TAIL_BYTES) + b"TAG" + chance)
    assert opened(tmp_path / "x.mp3").warnings == ()


def test_streamed_wav_without_sizes_is_whole(tmp_path: Path) -> None:
    data = bytearray(wave(tmp_path / "x.wav", tone(), subtype="PCM_16").read_bytes())
    data[4:8] = data[data.index(b"data") + 4 : data.index(b"data") + 8] = b"\xff\xff\xff\xff"
    (tmp_path / "x.wav").write_bytes(data)
    source = opened(tmp_path / "x.wav")
    assert source.recording.frames == len(tone())
    assert source.warnings == ()


NAMES = [
    "-i.wav",
    "--help",
    "two\nlines.wav",
    "quote ' and \" and `x` $HOME.wav",
    "e\u0301 and \u00e9.wav",
    "\u202eright to left.wav",
    "歌.wav",
    "\udcff not UTF-8.wav",
    "x" * 251 + ".wav",
    ".wav",
    "*.wav",
    "file:x.wav",
]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_only_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wave(tmp_path / "plain", tone())
    os.rename("plain", name)
    assert open_recording(Path(name), tmp_path / "work").recording.frames == len(tone())
    assert len(inputs.sha256(Path(name))) == 64
    os.rename(name, "plain")
    with pytest.raises(InputError) as caught:
        opened(Path(name))
    assert caught.value.code == "INPUT_MISSING"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["x\0y.wav", "x" * 300])
def test_impossible_names_are_missing_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        opened(tmp_path / name)
    assert caught.value.code == "INPUT_MISSING"


DEATHS = {
    "segmentation fault": ("import os; os.kill(os.getpid(), 11)", "INPUT_DAMAGED"),
    "exception": ("raise RuntimeError('no')", "INPUT_DAMAGED"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "INPUT_LIMIT"),
    "memory": ("import sys\ntry: bytearray(1 << 40)\nexcept MemoryError: sys.exit(3)", "INPUT_LIMIT"),
    "endless loop": ("while True: pass", "INPUT_LIMIT"),
    "endless wait": ("import time; time.sleep(1000)", "INPUT_LIMIT"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_death_of_the_child_is_a_typed_error(death: str, tmp_path: Path) -> None:
    program, code = DEATHS[death]
    limits = inputs.Limits(cpu_s=1, memory_bytes=1 << 30)
    quick = inputs.Limits(cpu_s=1, memory_bytes=1 << 30, wall_s=2.0) if death == "endless wait" else limits
    with pytest.raises(InputError) as caught:
        inputs.run_limited([sys.executable, "-S", "-c", program], tmp_path / "song.wav", None, quick)
    assert caught.value.code == code
    assert str(caught.value).isprintable()


def test_child_may_write_no_more_than_allowed(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'big')!r}, 'wb').write(bytes(1 << 22))"
    with pytest.raises(InputError):
        inputs.run_limited(
            [sys.executable, "-S", "-c", program], tmp_path / "song", None, inputs.Limits(cpu_s=5, file_bytes=1 << 20)
        )
    assert (tmp_path / "big").stat().st_size <= 1 << 20


def test_full_disk_of_the_work_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 0, 1 << 20))
    with pytest.raises(OutputError) as caught:
        opened(wave(tmp_path / "x.wav", tone()))
    assert caught.value.code == "OUTPUT_DISK_FULL"
    assert list((tmp_path / "work").iterdir()) == []


def test_work_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    path = wave(tmp_path / "x.wav", tone())
    with pytest.raises(OutputError) as caught:
        open_recording(path, path / "work")
    assert caught.value.code == "OUTPUT_UNWRITABLE"


FAKE_FFMPEG = """#!{python}
import sys, shutil
assert "-protocol_whitelist" in sys.argv and "file,pipe" in sys.argv
source = sys.argv[sys.argv.index("-i") + 1].removeprefix("file:")
content = open(source, "rb").read()
if b"broken" in content:
    sys.exit("moov atom not found")
if b"cut" in content:
    print("partial file", file=sys.stderr)
shutil.copy({wave!r}, sys.argv[-1].removeprefix("file:"))
"""


@pytest.fixture
def fake_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name that writes a tone wherever it is told to."""
    wave(tmp_path / "answer.wav", tone())
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FAKE_FFMPEG.format(python=sys.executable, wave=str(tmp_path / "answer.wav")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


M4A = struct.pack(">I", 24) + b"ftypM4A \x00\x00\x02\x00isomiso2"


def test_other_containers_go_through_ffmpeg(tmp_path: Path, fake_ffmpeg: None) -> None:
    (tmp_path / "-song.m4a").write_bytes(M4A)
    source = opened(tmp_path / "-song.m4a")
    assert (source.format, source.recording.frames) == ("MP4/M4A", len(tone()))
    assert len(list((tmp_path / "work").iterdir())) == 1


def test_what_ffmpeg_complains_of_is_a_warning(tmp_path: Path, fake_ffmpeg: None) -> None:
    (tmp_path / "song.m4a").write_bytes(M4A)
    (tmp_path / "cut.m4a").write_bytes(M4A + b"cut")
    assert opened(tmp_path / "song.m4a").warnings == ()
    assert any("cut off or damaged" in w for w in opened(tmp_path / "cut.m4a").warnings)


def test_what_ffmpeg_refuses_is_damaged(tmp_path: Path, fake_ffmpeg: None) -> None:
    (tmp_path / "song.m4a").write_bytes(M4A + b"broken")
    assert "moov atom not found" in check_refused(tmp_path / "song.m4a", "INPUT_DAMAGED").sentence


def test_without_ffmpeg_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "song.m4a").write_bytes(M4A)
    error = check_refused(tmp_path / "song.m4a", "FFMPEG_MISSING")
    assert isinstance(error, MissingError)
    assert "apt install ffmpeg" in error.next_step


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
def test_true_ffmpeg_decodes_what_it_wrote(tmp_path: Path) -> None:
    wave(tmp_path / "x.wav", tone(2.0))
    ffmpeg = [str(shutil.which("ffmpeg")), "-v", "error", "-i", str(tmp_path / "x.wav"), str(tmp_path / "x.m4a")]
    inputs.run_limited(ffmpeg, tmp_path / "x.wav", None, inputs.Limits(cpu_s=60, memory_bytes=1 << 32))
    assert abs(opened(tmp_path / "x.m4a").recording.duration_s - 2.0) < 0.1


MIDI_REFUSED = {
    "empty": (b"", "INPUT_EMPTY"),
    "no notes": (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "INPUT_NO_NOTES"),
    "header alone": (b"MThd\0\0\0\6\0\0\0\1\1\xe0", "INPUT_NO_NOTES"),
    "cut header": (b"MThd\0\0", "INPUT_DAMAGED"),
    "not MIDI": (b"RIFF\4\0\0\0WAVE", "INPUT_NO_MIDI"),
    "too short": (
        b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x0c\0\x90\x3c\x40\x10\x80\x3c\0\0\xff\x2f\0",
        "INPUT_TOO_SHORT",
    ),
    "no division": (b"MThd\0\0\0\6\0\0\0\1\0\0MTrk\0\0\0\x0c\0\x90\x3c\x40\x10\x80\x3c\0\0\xff\x2f\0", "INPUT_DAMAGED"),
    "days long": (
        b"MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0\x0e\0\x90\x3c\x40\xff\xff\x7f\x80\x3c\0\0\xff\x2f\0",
        "INPUT_TOO_LONG",
    ),
}


@pytest.mark.parametrize("case", MIDI_REFUSED)
def test_unusable_midi_is_refused_by_code(case: str, tmp_path: Path) -> None:
    content, code = MIDI_REFUSED[case]
    (tmp_path / "x.mid").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_midi(tmp_path / "x.mid")
    assert caught.value.code == code


def test_midi_is_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0")
    (tmp_path / "b.wav").write_bytes(b"RIFF\4\0\0\0RMIDdata")
    wave(tmp_path / "c.mid", tone())
    assert [is_midi(tmp_path / n) for n in ("a.wav", "b.wav", "c.mid")] == [True, True, False]


def test_signals_are_named() -> None:
    assert str(int(signal.SIGSEGV)) in inputs._last_words(-signal.SIGSEGV, b"")


@pytest.mark.parametrize("extra", ["evaluate", "train", "wavenet"])
def test_who_lacks_an_optional_part_is_told_how_to_install_it(extra: str) -> None:
    """From the clone that runs, for the Python that runs."""
    told = shlex.split(errors.install_extra(extra).removeprefix("Run: "))
    assert told[:4] == [sys.executable, "-m", "pip", "install"]
    assert Path(told[told.index("-c") + 1]).is_file()
    clone = Path(told[told.index("-e") + 1].removesuffix(f"[{extra}]"))
    assert extra in tomllib.loads((clone / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
