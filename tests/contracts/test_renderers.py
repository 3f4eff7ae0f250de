"""Every renderer: lengths, times, programs, order of work; and the soundfont renderer's own errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contrafact.errors import ContrafactError, MissingError, OutputError
from contrafact.metrics.timing import timing
from contrafact.registry import RENDERERS
from contrafact.renderers import _synthesize
from contrafact.renderers._attack import BAND_S, SPEAKS_S, struck_early
from contrafact.renderers.soundfont import PLACES, Config, build, find_soundfont
from contrafact.score import Note, Part, Score

RATE = 44_100
DRUMS = 128  # no program of General MIDI
needs_font = pytest.mark.skipif(
    not any(Path(p).expanduser().is_file() for p in PLACES), reason="no General MIDI soundfont is installed"
)


def part(notes: list[tuple[float, float, int, int]], program: int = 0, name: str = "part", **more) -> Part:
    return Part(name, program, tuple(Note(*n) for n in notes), **more)


def play(folder: Path, *parts: Part, duration_s: float = 2.0, **settings) -> dict[str, NDArray[np.float32]]:
    folder.mkdir(exist_ok=True)
    recordings = RENDERERS.build("soundfont", **settings)(Score(parts), folder, duration_s)
    return {name: r.read().samples for name, r in recordings.items()}


def level_db(sound: NDArray[np.float32], start_s: float, end_s: float) -> float:
    return float(10 * np.log10((sound[:, int(start_s * RATE) : int(end_s * RATE)] ** 2).mean() + 1e-12))


def pitch(sound: NDArray[np.float32]) -> float:
    """MIDI pitch of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound.mean(axis=0) * np.hanning(sound.shape[1]), 1 << 19))
    return float(69 + 12 * np.log2(spectrum.argmax() * RATE / (1 << 19) / 440))


@needs_font
@pytest.mark.parametrize("name", RENDERERS.names())
def test_every_renderer_gives_each_part_at_the_asked_length(tmp_path: Path, name: str) -> None:
    score = Score((part([(0.1, 0.5, 60, 80)], name="a"), part([], name="silent"), part([(0.0, 9.0, 40, 80)], 32, "b")))
    recordings = RENDERERS.build(name)(score, tmp_path, 1.2345)
    assert list(recordings) == ["a", "silent", "b"]
    for recording in recordings.values():
        assert (recording.sample_rate, recording.channels) == (RATE, 2)
        assert recording.frames == round(1.2345 * RATE) == recording.read().samples.shape[1]
    assert not recordings["silent"].read().samples.any()
    assert all(np.isfinite(r.read().samples).all() for r in recordings.values())


@needs_font
@pytest.mark.parametrize("program", [115, 0])  # wood block, piano
def test_notes_sound_when_the_score_says(tmp_path: Path, program: int) -> None:
    onsets = [0.1, 0.60007, 1.1234, 1.7777, 2.34567]
    sound = play(tmp_path, part([(t, 0.1, 84, 100) for t in onsets], program), duration_s=3)["part"]
    loud = np.abs(sound).max(axis=0)
    for onset in onsets:
        before, at = int((onset - 0.1) * RATE), round(onset * RATE)
        floor = loud[before : at - 100].max()
        assert loud[at - 64 : at + round(0.003 * RATE)].max() > 2 * floor + 1e-3
        first = before + int(np.argmax(loud[before:] > 2 * floor + 1e-3))
        assert -0.001 <= first / RATE - onset <= 0.003


@needs_font
@pytest.mark.parametrize("program", sorted(SPEAKS_S))
def test_slow_instruments_struck_early_are_heard_with_the_drums(tmp_path: Path, program: int) -> None:
    onsets = np.arange(0.4, 8, 0.5)
    kinds = (
        part([(float(t), 0.4, p, 80) for t in onsets], program, "slow", pedals=((1.0, 1.5),))
        if program < DRUMS
        else part([(float(t), 0.4, p, 80) for t in onsets], 0, "drums", is_drums=True)
        for program, p in ((program, 67), (DRUMS, 38))
    )
    score = Score(tuple(kinds))
    early = struck_early(score)
    assert [n.onset_s for n in early.part("drums").notes] == pytest.approx(onsets - BAND_S)
    assert early.part("slow").pedals[0][0] == pytest.approx(1 - BAND_S - SPEAKS_S[program])
    lags = []
    for number, given in enumerate((score, early)):
        folder = tmp_path / str(number)
        folder.mkdir()
        sounds = RENDERERS.build("soundfont", sample_rate=22_050)(given, folder, 9.0)
        slow, drums = (sounds[n].mono(22_050).samples[0] for n in ("slow", "drums"))
        lags.append(timing(drums, slow, onsets).lag_ms)
    assert lags[0] - lags[1] == pytest.approx(1000 * SPEAKS_S[program], abs=3)


def test_nothing_is_struck_before_the_start() -> None:
    score = Score((part([(0.0, 0.01, 67, 80), (0.001, 0.5, 70, 80)], 73),))
    notes = struck_early(score).parts[0].notes
    assert all(n.onset_s == 0 and n.duration_s > 0 for n in notes)


@needs_font
def test_all_rates_keep_time_and_pitch(tmp_path: Path) -> None:
    recording = build(Config(sample_rate=22_050))(Score((part([(0.5, 1.0, 69, 90)], 73),)), tmp_path, 2.0)["part"]
    sound = recording.read().samples
    assert sound.shape == (2, 44_100)
    assert np.argmax(np.abs(sound).max(axis=0) > 1e-3) / 22_050 == pytest.approx(0.5, abs=0.01)  # a flute's attack
    assert pitch(sound) - 12 == pytest.approx(69, abs=0.2)  # read at twice its rate


@needs_font
def test_pitch_velocity_and_program(tmp_path: Path) -> None:
    def one(name: str, key: int, velocity: int, program: int) -> Part:
        return part([(0.0, 1.5, key, velocity)], program, name)

    sounds = play(
        tmp_path, one("a", 69, 90, 73), one("up", 81, 90, 73), one("soft", 69, 40, 73), one("bass", 45, 90, 32)
    )
    assert pitch(sounds["a"]) == pytest.approx(69, abs=0.2)
    assert pitch(sounds["up"]) == pytest.approx(81, abs=0.2)
    assert pitch(sounds["bass"]) % 12 == pytest.approx(45 % 12, abs=0.3)
    assert level_db(sounds["a"], 0, 1.5) - level_db(sounds["soft"], 0, 1.5) > 8


@needs_font
def test_drums_come_from_the_drum_bank(tmp_path: Path) -> None:
    hit = [(0.0, 0.3, 36, 100)]
    sounds = play(
        tmp_path,
        part(hit, 0, "kit", is_drums=True),
        part(hit, 0, "piano"),
        part(hit, 40, "brushes", is_drums=True),
        part(hit, 127, "unknown kit", is_drums=True),
    )
    assert level_db(sounds["kit"], 0, 0.05) - level_db(sounds["kit"], 0.4, 0.6) > 30  # a kick, which is short
    assert level_db(sounds["piano"], 0, 0.05) - level_db(sounds["piano"], 0.2, 0.3) < 20
    assert not np.array_equal(sounds["kit"], sounds["brushes"])
    assert np.array_equal(sounds["kit"], sounds["unknown kit"])


@needs_font
def test_release_pedal_and_repeated_keys(tmp_path: Path) -> None:
    sounds = play(
        tmp_path,
        part([(0.0, 0.3, 60, 90)], name="short"),
        part([(0.0, 0.3, 60, 90)], name="pedal", pedals=((0.1, 1.0),)),
        part([(0.0, 1.0, 60, 90), (0.5, 1.2, 60, 90)], name="again"),
        part([(0.5, 1.2, 60, 90)], name="second only"),
    )
    assert 0 > level_db(sounds["short"], 0.3, 0.4) - level_db(sounds["short"], 0.2, 0.3) > -20  # the tail is kept
    assert level_db(sounds["pedal"], 0.7, 0.9) - level_db(sounds["short"], 0.7, 0.9) > 20
    assert level_db(sounds["pedal"], 1.5, 1.9) < level_db(sounds["pedal"], 0.7, 0.9) - 20
    # a stroke is not cut by the release of the stroke before it on the same key
    assert level_db(sounds["again"], 1.2, 1.6) == pytest.approx(level_db(sounds["second only"], 1.2, 1.6), abs=1)


@needs_font
def test_parts_side_by_side_are_what_one_after_another_gives(tmp_path: Path) -> None:
    parts = [
        part([(0.1 * i, 0.4, 50 + i, 80)], program, f"p{program}") for i, program in enumerate((0, 26, 32, 73, 40))
    ]
    side_by_side = play(tmp_path / "all", *parts, processes=4)
    in_turn = play(tmp_path / "turn", *parts, processes=1)
    alone = {p.name: play(tmp_path / p.name, p)[p.name] for p in parts}
    for name, sound in side_by_side.items():
        assert np.array_equal(sound, in_turn[name])
        assert np.array_equal(sound, alone[name])


@needs_font
def test_polyphony_bounds_the_voices(tmp_path: Path) -> None:
    cluster = part([(0.0, 1.5, k, 90) for k in range(30, 90)])
    full, few = (play(tmp_path / str(n), cluster, polyphony=n)["part"] for n in (256, 16))
    assert level_db(full, 0.2, 1.0) > level_db(few, 0.2, 1.0) + 3


@needs_font
def test_any_part_name_and_notes_beyond_the_end(tmp_path: Path) -> None:
    sounds = play(tmp_path / "work", part([(0.5, 1.0, 60, 80), (7.0, 1.0, 60, 80)], name="../a/b\n"), duration_s=1.0)
    assert sounds["../a/b\n"].shape == (2, RATE)
    assert [p.name for p in tmp_path.iterdir()] == ["work"]


def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        build(Config())(Score((part([]), part([]))), tmp_path, 1.0)


def test_events_are_ordered_and_on_the_raster() -> None:
    job = {
        "sample_rate": RATE,
        "notes": [(1.0, 1.0001, 60, 80), (0.5, 1.0, 60, 70)],
        "pedals": [(0.2, 0.5), (0.5, 0.8)],
    }
    found = _synthesize.events(job)
    assert [e[1] for e in found] == [2, 1, 2, 2, 2, 0, 1, 0]
    assert [e[3] for e in found if e[1] == _synthesize.PEDAL] == [127, 0, 127, 0]
    assert all(e[0] % _synthesize.QUANTUM == 0 for e in found)
    assert abs(found[1][0] / RATE - 0.5) <= 0.00075
    assert found[-1][0] > found[-2][0]  # the shortest note still sounds


def test_a_missing_soundfont_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match="no-such") as given:
        play(tmp_path, part([]), soundfont=str(tmp_path / "no-such.sf2"))
    monkeypatch.setattr("contrafact.renderers.soundfont.PLACES", (str(tmp_path / "nothing.sf2"),))
    with pytest.raises(MissingError) as none:
        play(tmp_path, part([]))
    assert given.value.code == none.value.code == "SOUNDFONT_MISSING"
    assert all(word in none.value.next_step for word in ("apt-get", "dnf", "brew"))


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"not a font at all", b"RIFF\x04\0\0\0sfbk", b"RIFF\xff\xff\0\0sfbk" + bytes(5000)]
)
def test_a_broken_soundfont_is_told(tmp_path: Path, content: bytes) -> None:
    font = tmp_path / "font.sf2"
    font.write_bytes(content)
    with pytest.raises(ContrafactError) as error:
        play(tmp_path / "work", part([(0.0, 1.0, 60, 80)]), soundfont=str(font))
    assert error.value.code == "SOUNDFONT_BROKEN"


@needs_font
def test_a_truncated_soundfont_is_told(tmp_path: Path) -> None:
    font = tmp_path / "font.sf2"
    with find_soundfont("").open("rb") as file:
        font.write_bytes(file.read(100_000))
    with pytest.raises(ContrafactError) as error:
        play(tmp_path / "work", part([(0.0, 1.0, 60, 80)]), soundfont=str(font))
    assert error.value.code == "SOUNDFONT_BROKEN"


FAKES = {
    "FLUIDSYNTH_MISSING": "raise ImportError('Could not find the FluidSynth library.')",
    "RENDER_FAILED": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "SOUNDFONT_PROGRAM": """
class Synth:
    def __init__(self, **_): pass
    def sfload(self, _): return 1
    def program_select(self, *_): return -1
""",
}


@pytest.mark.parametrize("code", FAKES)
def test_failures_of_the_child_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    (tmp_path / "fluidsynth.py").write_text(FAKES[code])
    (tmp_path / "font.sf2").write_bytes(b"RIFF\0\0\0\0sfbk")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ContrafactError) as error:
        play(tmp_path / "work", part([(0.0, 1.0, 60, 80)]), soundfont=str(tmp_path / "font.sf2"))
    assert error.value.code == code


@needs_font
def test_a_work_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        build(Config())(Score((part([(0.0, 1.0, 60, 80)]),)), tmp_path / "gone", 1.0)


@pytest.mark.parametrize("wrong", [{"sample_rate": 0}, {"polyphony": 0}, {"processes": -1}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ContrafactError, match=next(iter(wrong))):
        RENDERERS.build("soundfont", **wrong)


def test_importing_the_renderer_loads_no_synthesizer() -> None:
    code = "import sys, contrafact.renderers.soundfont; sys.exit('fluidsynth' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
