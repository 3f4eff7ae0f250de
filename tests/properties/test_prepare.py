"""Data prepared by recipe: the same bytes after any interruption, and nothing lost without being told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from contrafact.audio import Audio
from contrafact.data import crops, prepare, shards
from contrafact.data.crops import CropConfig, Source
from contrafact.data.truth import Truth
from contrafact.errors import InputError, MissingError, OutputError, SettingsError

RATE = 16_000


def tree(folder: Path) -> Path:
    """A has a long tone with a silent middle, B one too short, one damaged and one silent."""
    for side in "AB":
        (folder / side).mkdir(parents=True)
    tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(60 * RATE) / RATE)
    tone[20 * RATE : 40 * RATE] = 0
    soundfile.write(folder / "A" / "long.wav", tone, RATE)
    soundfile.write(folder / "B" / "short.wav", tone[: 5 * RATE], RATE)
    soundfile.write(folder / "B" / "tone.wav", tone[: 20 * RATE], RATE)
    (folder / "B" / "damaged.wav").write_bytes(b"RIFF nothing")
    return folder


def config(folder: Path, **changes: Any) -> CropConfig:
    values = {"drop_s": 2.0, "crop_s": 5.0, "crops": 20, "sample_rate": RATE, "per_shard": 2, **changes}
    return CropConfig(sources=(Source("a-b", str(folder)),), **values)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    recipe = prepare.Recipe("crops", crops=config(tree(tmp_path / "in")))
    return tmp_path / "out", prepare.prepare(recipe, tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_what_is_dropped_is_counted(prepared: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = prepared
    dropped = manifest["dropped"]
    assert dropped["short"]["items"] == dropped["unreadable"]["items"] == 1
    assert manifest["items"] + dropped["silent"]["items"] == 40
    assert dropped["silent"]["minutes"] == pytest.approx(dropped["silent"]["items"] * 5 / 60, abs=0.001)
    data = shards.Shards(folder)
    assert (len(data), data.sample_rate) == (manifest["items"], RATE)
    assert {data.facts(i)["genre"] for i in range(len(data))} == {"A", "B"}
    for i in range(len(data)):
        facts, sound = data.facts(i), data.audio(i)
        assert len(sound) == data.samples(i) == 5 * RATE
        assert 2 <= facts["from_s"] <= 53
        assert np.abs(sound).max() > 0.1
        original = np.sin(2 * np.pi * 300 * (facts["from_s"] + np.arange(400) / RATE)) * 0.2
        if facts["from_s"] < 19:
            np.testing.assert_allclose(sound[:400], original, atol=2e-2)
    lost = [d for n in (0, 1) for d in json.loads((folder / f"{n:05}.json").read_text())["dropped"]]
    assert all(15.0 <= d["from_s"] <= 40 for d in lost if d["reason"] == "silent" and d["name"].endswith("long.wav"))
    assert np.array_equal(data.audio(0, 100, 50), data.audio(0)[100:150])


def test_missing_and_cut_shards_are_made_again_byte_for_byte(prepared: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = prepared
    recipe = prepare.Recipe("crops", crops=config(folder.parent / "in"))
    before = contents(folder)
    (folder / "00000.json").unlink()
    (folder / "00001.audio.npy").write_bytes(before["00001.audio.npy"][:100])
    with pytest.raises(InputError, match="not whole"):
        shards.Shards(folder)
    prepare.prepare(recipe, folder)
    assert contents(folder) == before
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.glob("0*")}
    prepare.prepare(recipe, folder)
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("0*")} == stamps  # what is whole is left alone
    with pytest.raises(OutputError, match="another recipe"):
        prepare.prepare(prepare.Recipe("crops", crops=config(folder.parent / "in", seed=1)), folder)


def test_each_setting_of_crops_counts(tmp_path: Path) -> None:
    tree(tmp_path)
    tone = np.ones(60 * RATE, np.float32) * 0.1
    facts = {"layout": "a-b", "name": "x"}

    def places(**changes: Any) -> list[float]:
        return [i.facts["from_s"] for i in crops.crops_of(tone, facts, config(tmp_path, **changes))]

    assert len(places()) == 20
    assert len(places(crops=3)) == 3
    assert places() != places(seed=1)
    assert min(places(drop_s=20.0)) >= 20
    assert max(places(drop_s=20.0)) <= 35
    (loud,) = {type(i) for i in crops.crops_of(tone, facts, config(tmp_path, silence_db=-30.0))}
    (quiet,) = {type(i) for i in crops.crops_of(tone, facts, config(tmp_path, silence_db=-10.0))}
    assert (loud, quiet) == (shards.Item, shards.Dropped)
    order = [t.name for _, t in crops.shuffled_tracks(config(tmp_path))]
    assert sorted(order) == sorted(t.name for _, t in crops.shuffled_tracks(config(tmp_path, seed=5)))
    one = CropConfig(sources=(Source("a-b", str(tmp_path), genre="A"),))
    assert [t.name for _, t in crops.shuffled_tracks(one)] == [os.path.join("A", "long.wav")]
    with pytest.raises(InputError, match="split and genre"):
        crops.shuffled_tracks(CropConfig(sources=(Source("a-b", str(tmp_path), split="test"),)))


def test_a_separator_takes_the_mix_apart(tmp_path: Path) -> None:
    tree(tmp_path / "in")

    def separate(mix: Audio) -> dict[str, Audio]:
        return {"other": Audio(mix.samples * np.float32(0.5), mix.sample_rate)}

    settings = config(tmp_path / "in", stem="other")
    shards.make_folder(tmp_path / "out")
    crops.write_crops(settings, tmp_path / "out", "x", lambda *_: None, separate)
    found = json.loads((tmp_path / "out" / "00000.json").read_text())
    loud = np.abs(np.load(tmp_path / "out" / "00000.audio.npy")).max() / 32767
    assert found["items"]
    assert loud == pytest.approx(0.1, abs=0.01)
    with pytest.raises(SettingsError, match="stem"):
        crops.write_crops(config(tmp_path / "in", stem="bass"), tmp_path / "b", "x", lambda *_: None, separate)
    with pytest.raises(SettingsError):
        CropConfig(separator="", stem="x") and prepare.load_recipe("crops", {"crops.separator": "none"})


def test_silence_alone_is_refused_but_told(tmp_path: Path) -> None:
    for side in "AB":
        (tmp_path / "in" / side).mkdir(parents=True)
        almost = 2e-3 * np.sin(np.arange(30 * RATE) / 10) * (side == "A")  # B is silent to the last bit
        soundfile.write(tmp_path / "in" / side / "hum.wav", almost, RATE)
    recipe = prepare.Recipe("crops", crops=config(tmp_path / "in"))
    with pytest.raises(InputError, match="silent 21 times"):
        prepare.prepare(recipe, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["dropped"]["silent"]["items"] == 21


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"songs.cuont": 1}, "count"),
        ({"kind.x": 1}, "kind"),
        ({"songs.production.lead_dB": [0, 1]}, "lead_db"),
        ({"songs.corpora": ["pop90"]}, "pop909"),
        ({"songs.excerpt_s": 1.0}, "excerpt_s"),
        ({"crops.crop_s": 0.0}, "crop_s"),
        ({"crops.sources": [{"layout": "gtzn", "folder": "x"}]}, "gtzan"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        prepare.load_recipe("leadsheet", change)


def test_recipes_load_and_unknown_ones_are_told(tmp_path: Path) -> None:
    assert {"leadsheet", "stems", "crops"} <= set(prepare.recipe_names())
    for name in prepare.recipe_names():
        assert prepare.load_recipe(name).about
    assert prepare.load_recipe("crops").crops == CropConfig()  # the defaults are that recipe
    with pytest.raises(SettingsError, match="leadsheet"):
        prepare.load_recipe("leadshet")
    (tmp_path / "x.toml").write_text("kind = ")
    with pytest.raises(SettingsError, match="no TOML"):
        prepare.load_recipe(str(tmp_path / "x.toml"))


def test_shards_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished data"):
        shards.Shards(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        shards.make_folder(tmp_path / "file" / "below")


def test_the_verb_lists_makes_and_refuses(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from contrafact.cli import app

    tree(tmp_path / "in")
    listed = CliRunner().invoke(app, ["prepare", "--list"])
    assert "leadsheet" in listed.output
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'kind = "crops"\n[crops]\ndrop_s = 2.0\ncrop_s = 5.0\nsample_rate = 16000\n'
        f'sources = [{{ layout = "a-b", folder = "{tmp_path}/in" }}]\n'
    )
    made = CliRunner().invoke(app, ["prepare", str(recipe), "-o", str(tmp_path / "out"), "--set", "crops.crops=2"])
    assert "dropped as short: 1" in made.output
    assert shards.Shards(tmp_path / "out").manifest["recipe"]["crops"] == 2
    as_json = CliRunner().invoke(app, ["prepare", str(recipe), "-o", str(tmp_path / "o2"), "--json"])
    assert json.loads(as_json.output.splitlines()[-1])["event"] == "done"
    assert isinstance(CliRunner().invoke(app, ["prepare", "crops"]).exception, SettingsError)
    wrong = CliRunner().invoke(app, ["prepare", "crops", "-o", str(tmp_path / "o3"), "--set", "crops"])
    assert isinstance(wrong.exception, SettingsError)


def test_songs_are_dealt_in_rounds_over_all_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_names", lambda corpus, split: tuple(f"{corpus}-{i}" for i in range(4)))
    songs = prepare.SongConfig(corpora=("pop909", "pop909", "wjazzd"))
    dealt = [prepare.choose_tune(songs, i) for i in range(12)]
    assert [c for c, _ in dealt] == ["pop909", "pop909", "wjazzd"] * 4
    assert {n for c, n in dealt if c == "wjazzd"} == {f"wjazzd-{i}" for i in range(4)}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    try:
        prepare.tunes.names("pop909", "train")
    except MissingError as missing:
        pytest.skip(str(missing))
    settings = ["songs.corpora=['pop909']", "songs.count=3", "songs.per_shard=1", "songs.excerpt_s=4.0"]
    settings += ["songs.stems=true", "songs.production={groove_share=0.0}"]
    changes = [word for s in settings for word in ("--set", s)]
    command = [sys.executable, "-m", "contrafact", "prepare", "leadsheet", *changes, "-o"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole), "--jobs", "2"], check=True, timeout=300)
    run = subprocess.Popen([*command, str(killed)], start_new_session=True)
    while not (killed / "00001.json").exists() and run.poll() is None:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (killed / "manifest.json").exists()
    subprocess.run([*command, str(killed)], check=True, timeout=300)
    after = {n: d for n, d in contents(killed).items() if not n.startswith(".partial-")}
    assert after == contents(whole)
    data = shards.Shards(whole)
    assert set(data.stems(0)) <= {"melody", "harmony", "bass", "drums"}
    truth = Truth.of_arrays(data.arrays(1))
    assert len(truth.melody_hz) == 401
