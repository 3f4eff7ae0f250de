"""Stems sum to the mix, the mix has its loudness and peak whatever comes in, and each control does its own thing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from contrafact.audio import Recording
from contrafact.errors import OutputError
from contrafact.fade import Fade
from contrafact.mixer import Channel, Mixed, Room, mix

RATE = 44_100
Sound = NDArray[np.float64]
DRY = Channel(send_db=-90)


def recording(folder: Path, name: str, sound: Sound) -> Recording:
    path = folder / f"{name.replace('/', '_')}.f32"
    np.ascontiguousarray(sound.T).astype("<f4").tofile(path)
    return Recording(path, RATE, len(sound), sound.shape[1])


def hits(seconds: float, every_s: float, decay: float, seed: int, level: float = 0.3) -> Sound:
    """Noise struck again and again, different in both ears."""
    t = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    return level * rng.standard_normal((2, len(t))) * np.exp(-decay * (t % every_s))


def tone(seconds: float, frequency: float, level: float = 0.3) -> Sound:
    t = np.arange(int(seconds * RATE)) / RATE
    return level * np.sin(2 * np.pi * frequency * t)[None].repeat(2, axis=0)


def mixed(tmp_path: Path, sounds: dict[str, Sound], channels: dict[str, Channel] | None = None, **more) -> Mixed:
    tmp_path.mkdir(exist_ok=True)
    parts = {name: recording(tmp_path, name, sound) for name, sound in sounds.items()}
    return mix(parts, channels or {}, more.pop("room", Room()), tmp_path / "out", **more)


def heard(path: Path) -> Sound:
    return soundfile.read(path)[0].T


def level_db(sound: Sound) -> float:
    return float(10 * np.log10((sound**2).mean() + 1e-20))


MATERIAL: dict[str, Callable[[], dict[str, Sound]]] = {
    "dense": lambda: {"a": hits(8, 0.25, 2, 0), "b": tone(8, 220), "c": hits(8, 0.1, 1, 1)},
    "sparse drums": lambda: {"drums": hits(8, 0.6, 12, 2)},
    "loud and soft parts": lambda: {"a": tone(8, 440, 0.9), "b": hits(8, 0.5, 8, 3, level=0.02)},
    "bass alone": lambda: {"bass": tone(8, 55)},
    "half silence": lambda: {"a": np.concatenate([np.zeros((2, 4 * RATE)), hits(4, 0.3, 6, 4)], axis=1)},
    "beyond full scale": lambda: {"a": hits(8, 0.4, 5, 5, level=4.0)},
}


@pytest.mark.parametrize("name", MATERIAL)
def test_loudness_peak_and_sum(tmp_path: Path, name: str) -> None:
    result = mixed(tmp_path, MATERIAL[name]())
    cover = heard(result.cover)
    stems = sum(heard(path) for path in result.stems.values())
    peak_db = 20 * np.log10(np.abs(resample_poly(cover, 4, 1, axis=1)).max())
    loudness = pyloudnorm.Meter(RATE).integrated_loudness(cover.T)
    assert np.abs(stems - cover).max() < 10 ** (-90 / 20)
    assert loudness == pytest.approx(-14, abs=0.5)
    assert peak_db <= -1
    assert result.lufs == pytest.approx(loudness, abs=0.05)
    assert result.true_peak_dbtp == pytest.approx(peak_db, abs=0.3)


def test_the_end_fades_and_rumble_is_cut(tmp_path: Path) -> None:
    cover = heard(mixed(tmp_path, {"a": tone(8, 440) + tone(8, 8)}).cover)
    assert np.abs(cover[:, -8:]).max() < 0.02 * np.abs(cover[:, -RATE : -RATE // 2]).max()
    spectrum = np.abs(np.fft.rfft(cover[0] * np.hanning(cover.shape[1])))
    hertz = np.fft.rfftfreq(cover.shape[1], 1 / RATE)
    rumble, note = (spectrum[np.abs(hertz - f) < 1].max() for f in (8, 440))
    assert 20 * np.log10(rumble / note) < -15, "8 Hz lies two octaves below the cut"


def test_a_fade_sinks_the_mix_and_its_stems(tmp_path: Path) -> None:
    sounds = {"a": hits(12, 0.25, 6, 0), "b": tone(12, 220)}
    fade = Fade(np.array([4.0, 10.0]), np.array([0.0, -30.0]))
    plain, sinking = (mixed(tmp_path / name, sounds, fade=f) for name, f in (("plain", None), ("sinking", fade)))
    moved = [
        [level_db(heard(r.cover)[:, round(at * RATE) : round((at + 0.5) * RATE)]) for at in (1, 3.5, 6.75, 10.5)]
        for r in (plain, sinking)
    ]
    sunk = moved[1] - np.array(moved[0])
    np.testing.assert_allclose(sunk - sunk[0], [0, 0, -15, -30], atol=0.7)
    assert np.abs(sum(heard(p) for p in sinking.stems.values()) - heard(sinking.cover)).max() < 10 ** (-90 / 20)
    assert sinking.lufs == pytest.approx(-14, abs=0.5)


def test_stems_sum_where_they_cancel_in_the_mix(tmp_path: Path) -> None:
    loud = hits(6, 0.5, 10, 0)
    result = mixed(tmp_path, {"a": loud, "b": -0.97 * loud}, {"a": DRY, "b": replace(DRY, gain_db=-0.2)})
    stems = [heard(path) for path in result.stems.values()]
    assert np.abs(sum(stems) - heard(result.cover)).max() < 10 ** (-90 / 20)
    assert 0.99 < max(np.abs(s).max() for s in stems) < 1


def test_parts_are_balanced_by_loudness_then_by_fader(tmp_path: Path) -> None:
    sounds = {"a": hits(8, 0.5, 6, 0, level=0.9), "b": hits(8, 0.4, 8, 1, level=0.1)}
    result = mixed(tmp_path, sounds, {"a": DRY, "b": replace(DRY, gain_db=-6)})
    meter = pyloudnorm.Meter(RATE)
    loudness = {n: meter.integrated_loudness(heard(p).T) for n, p in result.stems.items()}
    assert loudness["a"] - loudness["b"] == pytest.approx(6, abs=0.7)  # the limiter comes after the faders
    assert result.part_lufs["a"] - result.part_lufs["b"] > 15


def test_pan_and_width(tmp_path: Path) -> None:
    sounds = {n: hits(4, 0.5, 6, i) for i, n in enumerate(("left", "middle", "wide"))}
    channels = {"left": replace(DRY, pan=-1), "middle": replace(DRY, width=0), "wide": DRY}
    stems = {n: heard(p) for n, p in mixed(tmp_path, sounds, channels).stems.items()}
    assert level_db(stems["left"][0]) - level_db(stems["left"][1]) > 60
    assert np.abs(stems["middle"][0] - stems["middle"][1]).max() < 1e-4
    assert abs(np.corrcoef(stems["wide"])[0, 1]) < 0.1


def test_the_send_opens_the_room_and_the_room_rings(tmp_path: Path) -> None:
    click = np.zeros((2, 4 * RATE))
    click[:, RATE : RATE + 2000] = hits(2000 / RATE, 1, 20, 0)
    tails = {}
    for name, send_db, rt60_s in (("dry", -90, 0.8), ("room", -14, 0.8), ("closer", -8, 0.8), ("hall", -14, 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        result = mixed(folder, {"a": click}, {"a": Channel(send_db=send_db)}, room=Room(rt60_s=rt60_s))
        stem = heard(result.stems["a"])
        tails[name] = level_db(stem[:, int(1.3 * RATE) : int(1.6 * RATE)]) - level_db(stem[:, RATE : RATE + 2000])
    assert tails["room"] - tails["dry"] > 30
    assert tails["closer"] - tails["room"] == pytest.approx(6, abs=1.5)
    assert tails["hall"] > tails["room"] + 6


def test_a_silent_part_stays_silent_beside_others(tmp_path: Path) -> None:
    result = mixed(tmp_path, {"a": hits(3, 0.5, 6, 0), "rest": np.zeros((2, 3 * RATE))})
    assert not heard(result.stems["rest"]).any()
    assert result.part_lufs["rest"] == -np.inf


@pytest.mark.parametrize("sounds", [{}, {"a": np.zeros((2, 2 * RATE))}])
def test_an_entirely_silent_mix_is_an_error(tmp_path: Path, sounds: dict[str, Sound]) -> None:
    with pytest.raises(OutputError) as error:
        mixed(tmp_path, sounds)
    assert error.value.code == "OUTPUT_SILENT"
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_clicks_that_no_limiter_makes_loud_keep_their_peak(tmp_path: Path) -> None:
    result = mixed(tmp_path, {"clicks": hits(8, 0.6, 200, 2)})
    assert result.gain_db == 20
    assert result.lufs < -14.5
    assert np.abs(resample_poly(heard(result.cover), 4, 1, axis=1)).max() <= 10 ** (-1 / 20)


def test_what_is_nearly_silent_is_raised_by_forty_decibels_at_most(tmp_path: Path) -> None:
    faint = hits(4, 0.5, 6, 0, level=0.001)
    result = mixed(tmp_path, {"a": faint}, {"a": DRY})
    assert result.lufs < -15
    assert result.gain_db == 20
    assert level_db(heard(result.cover)) - level_db(faint) == pytest.approx(40, abs=0.5)


def test_mono_and_shorter_parts_join(tmp_path: Path) -> None:
    result = mixed(tmp_path, {"voice": tone(3, 330)[:1], "band": hits(5, 0.5, 6, 0)}, {"voice": DRY})
    voice = heard(result.stems["voice"])
    assert voice.shape == heard(result.cover).shape == (2, 5 * RATE)
    assert np.abs(voice[:, int(3.1 * RATE) :]).max() < 1e-4
    assert np.abs(voice[0] - voice[1]).max() < 1e-4


def test_any_part_name_becomes_a_file_of_its_own(tmp_path: Path) -> None:
    names = ["../up", "a/b", "A:B", "a_b", ""]
    result = mixed(tmp_path, {n: hits(1.5, 0.5, 6, i) for i, n in enumerate(names)})
    assert list(result.stems) == names
    assert len({p.name.lower() for p in result.stems.values()}) == len(names)
    assert {p.parent for p in result.stems.values()} == {tmp_path / "out" / "stems"}
    assert all(p.is_file() for p in result.stems.values())


def test_other_formats(tmp_path: Path) -> None:
    result = mixed(tmp_path, {"a": hits(3, 0.5, 6, 0)}, format="flac", tags={"title": "Song"})
    with soundfile.SoundFile(result.cover) as sound:
        assert (sound.format, sound.title, sound.frames) == ("FLAC", "Song", 3 * RATE)
    assert result.stems["a"].suffix == ".flac"


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append(mixed(tmp_path / name, MATERIAL["dense"]()).cover.read_bytes())
    assert files[0] == files[1]


def test_listeners_hear_what_is_written(tmp_path: Path) -> None:
    told: dict[str | None, list[NDArray[np.float32]]] = {"a": [], None: []}
    listeners = {name: lambda block, into=into: into.append(block.copy()) for name, into in told.items()}
    result = mixed(tmp_path, {"a": hits(5, 0.5, 6, 0), "b": tone(4, 220)}, listeners=listeners)
    for name, path in ((None, result.cover), ("a", result.stems["a"])):
        assert np.abs(np.concatenate(told[name], axis=1) - heard(path)).max() < 2**-23


@pytest.mark.parametrize("wrong", [{"pan": 1.1}, {"width": -0.1}, {"send_db": 1.0}, {"gain_db": float("nan")}])
def test_channels_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Channel(**wrong)


@pytest.mark.parametrize("wrong", [{"rt60_s": 0.0}, {"predelay_ms": -1.0}])
def test_rooms_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Room(**wrong)


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from contrafact.audio import Recording
from contrafact.mixer import Room, mix

folder, minutes = Path(sys.argv[1]), int(sys.argv[2])
t = np.arange(5 * 44100) / 44100
noise = np.random.default_rng(0).standard_normal((len(t), 2)) * np.exp(-5 * (t % 0.5))[:, None] * 0.2
parts = {}
for name in ("a", "b"):
    path = folder / name
    with path.open("wb") as file:
        for _ in range(12 * minutes):
            noise.astype("<f4").tofile(file)
    parts[name] = Recording(path, 44100, 2, 12 * minutes * len(t))
del noise, t
mix(parts, {}, Room(), folder / "out")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20))
"""


@pytest.mark.slow
def test_memory_hardly_grows_with_length(tmp_path: Path) -> None:
    """An hour takes at most 400 MB more than a minute."""
    used = {}
    for minutes in (2, 10):
        folder = tmp_path / str(minutes)
        folder.mkdir()
        command = [sys.executable, "-c", MEMORY, str(folder), str(minutes)]
        used[minutes] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for path in folder.rglob("*"):
            if path.is_file():
                path.unlink()
    assert (used[10] - used[2]) / 8 * 60 < 400
