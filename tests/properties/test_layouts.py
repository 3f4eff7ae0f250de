"""Collections that users bring, as small trees."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from contrafact.data import layouts
from contrafact.data.mixture import Mixture
from contrafact.errors import ContrafactError, InputError, MissingError, SettingsError

RATE = 22_050


def tone(path: Path, level: float, seconds: float = 1.2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)
    soundfile.write(path, sound, RATE)
    return path


def test_musdb18_hq(tmp_path: Path) -> None:
    for stem, level in (("mixture", 0.4), ("drums", 0.1), ("bass", 0.1), ("other", 0.1), ("vocals", 0.2)):
        tone(tmp_path / "train" / "A - B" / f"{stem}.wav", level)
    (track,) = layouts.tracks("musdb18-hq", tmp_path)
    assert (track.name, track.split, set(track.stems)) == ("A - B", "train", {"drums", "bass", "other", "vocals"})
    assert np.abs(layouts.read(track, RATE, "vocals")).max() == pytest.approx(0.2, abs=0.01)
    assert len(layouts.read(track, 16_000)) == round(1.2 * 16_000)
    with pytest.raises(InputError, match="no stem 'guitar'"):
        layouts.read(track, RATE, "guitar")
    (tmp_path / "train" / "A - B" / "bass.wav").unlink()
    with pytest.raises(InputError, match=r"bass\.wav is missing"):
        layouts.tracks("musdb18-hq", tmp_path)


def test_musdb18_takes_streams_out_with_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "C - D.stem.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    (track,) = layouts.tracks("musdb18", tmp_path)
    assert (track.name, track.split) == ("C - D", "test")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingError, match="ffmpeg"):
        layouts.read(track, RATE, "bass")
    for number in range(5):  # a stand-in that copies a tone as loud as the stream's number says
        tone(tmp_path / "tones" / f"{number}.wav", 0.1 * (number + 1))
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -map ] && map=$2; shift; done\n'
        f"/bin/cp {tmp_path}/tones/${{map##*:}}.wav ${{1#file:}}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    for stem, level in (("mix", 0.1), ("drums", 0.2), ("bass", 0.3), ("other", 0.4), ("vocals", 0.5)):
        assert np.abs(layouts.read(track, RATE, stem)).max() == pytest.approx(level, abs=0.02)


def test_slakh2100_sums_its_stems(tmp_path: Path) -> None:
    folder = tmp_path / "validation" / "Track01876"
    tone(folder / "mix.flac", 0.4)
    for name in ("S00", "S01", "S02", "S03"):
        tone(folder / "stems" / f"{name}.flac", 0.1)
    (folder / "metadata.yaml").write_text(
        "UUID: 1a\nstems:\n"
        "  S00:\n    inst_class: Drums\n    is_drum: true\n"
        "  S01:\n    inst_class: Bass\n    is_drum: false\n"
        "  S02:\n    inst_class: Guitar\n    is_drum: false\n    midi_program_name: Clean\n"
        "  S03:\n    inst_class: Piano\n    is_drum: false\n"
        "  S04:\n    inst_class: Strings\n    is_drum: false\n    audio_rendered: false\n"
        "target_peak: -1.0\n"
    )
    (track,) = layouts.tracks("slakh2100", tmp_path)
    assert {k: len(v) for k, v in track.stems.items()} == {"drums": 1, "bass": 1, "other": 2}
    assert np.abs(layouts.read(track, RATE, "other")).max() == pytest.approx(0.2, abs=0.01)
    (folder / "metadata.yaml").write_text("UUID: 1a\n")
    with pytest.raises(InputError, match="no stems"):
        layouts.tracks("slakh2100", tmp_path)


def test_gtzan_and_fma(tmp_path: Path) -> None:
    tone(tmp_path / "g" / "genres" / "jazz" / "jazz.00007.wav", 0.1)
    tone(tmp_path / "g" / "genres" / "jazz" / "other.wav", 0.1)
    assert [(t.name, t.genre) for t in layouts.tracks("gtzan", tmp_path / "g")] == [("jazz.00007", "jazz")]
    for number in ("000002", "000140"):
        tone(tmp_path / "fma_small" / "000" / f"{number}.mp3", 0.1)
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata" / "tracks.csv").write_text(
        ",set,set,track\n,split,subset,genre_top\ntrack_id,,,\n2,training,small,Hip-Hop\n140,test,small,Folk\n"
    )
    found = [(t.name, t.split, t.genre) for t in layouts.tracks("fma", tmp_path / "fma_small")]
    assert found == [("000002", "train", "Hip-Hop"), ("000140", "test", "Folk")]


def test_plain_folders(tmp_path: Path) -> None:
    tone(tmp_path / "A" / "x" / "one.wav", 0.1)
    (tmp_path / "A" / "notes.txt").write_text("no sound")
    with pytest.raises(InputError, match="no folder B/"):
        layouts.tracks("a-b", tmp_path)
    tone(tmp_path / "B" / "two.flac", 0.1)
    assert [(t.name, t.genre) for t in layouts.tracks("a-b", tmp_path)] == [
        (os.path.join("A", "x", "one.wav"), "A"),
        (os.path.join("B", "two.flac"), "B"),
    ]


@pytest.mark.parametrize("layout", ["musdb18", "musdb18-hq", "slakh2100", "gtzan", "fma"])
def test_empty_and_absent_folders_are_told(layout: layouts.Layout, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no track"):
        layouts.tracks(layout, tmp_path)
    with pytest.raises(InputError, match="no folder"):
        layouts.tracks(layout, tmp_path / "absent")


def test_an_unknown_layout_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="musdb18-hq"):
        layouts.tracks("musdb", tmp_path)  # type: ignore[arg-type]


def test_a_round_of_a_mixture_has_every_item_once_and_the_next_another_order() -> None:
    mixture = Mixture((3, 5, 4), batch=4, seed=1)
    rounds = [[i for step in range(3 * r, 3 * r + 3) for i in mixture.step(step)] for r in (0, 1)]
    everything = {(0, i) for i in range(3)} | {(1, i) for i in range(5)} | {(2, i) for i in range(4)}
    assert all(len(r) == 12 and set(r) == everything for r in rounds)
    assert rounds[0] != rounds[1]
    assert mixture.at(5, 2) == Mixture((3, 5, 4), batch=4, seed=1).at(5, 2)
    assert Mixture((3, 5, 4), batch=4, seed=2).step(0) + Mixture((3, 5, 4), 4, 2).step(1) != rounds[0][:8]


def test_weights_set_the_shares() -> None:
    mixture = Mixture((10, 10), batch=8, weights=(3.0, 1.0))
    sources = [source for step in range(100) for source, _ in mixture.step(step)]
    assert np.mean(sources) == pytest.approx(0.25, abs=0.05)
    assert mixture.rng(3, 1).random() == mixture.rng(3, 1).random() != mixture.rng(3, 2).random()
    with pytest.raises(ContrafactError, match="empty"):
        Mixture((3, 0), batch=1)
    with pytest.raises(ValueError, match="weights"):
        Mixture((3, 1), batch=1, weights=(1.0,))
