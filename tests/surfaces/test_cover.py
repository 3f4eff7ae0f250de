"""The installed command, as a user types it: what comes out, exit status, and every promise about the files."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import BEAT_S, band_score
from typer.testing import CliRunner

from contrafact import cli, interruption, weights
from contrafact.__main__ import main
from contrafact.audio import SoundFile
from contrafact.cli import app
from contrafact.cover import check
from contrafact.dsp.loudness import integrated_loudness
from contrafact.errors import MissingError
from contrafact.files import PARTIAL_PREFIX
from contrafact.leadsheet import from_json, to_json
from contrafact.metrics.style import ACCEPTED
from contrafact.midi import read_midi, write_midi
from contrafact.score import Score
from contrafact.settings import Settings
from contrafact.transcribers import basic_pitch

FILES = {"cover.wav", "cover.mid", "leadsheet.json", "leadsheet.musicxml", "cover.musicxml"}
FILES |= {"report.json", "report.html"}
STEMS = {"melody", "piano", "bass", "drums"}


def contrafact(*words: object, check: bool = False, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "contrafact", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=check, **options)


def samples(path: Path) -> np.ndarray:
    return SoundFile.of(path).read().samples


@pytest.fixture(scope="module")
def covered(band_recording, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("covers")
    done = contrafact("cover", band_recording, "-o", out)
    assert done.returncode == 0, done.stderr
    return out / "Twelve Bars.jazz-trio"


def assert_whole(folder: Path) -> None:
    """All files of a cover are there, with the sizes that its report tells, and no others."""
    names = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert names == FILES | {f"stems/{s}.wav" for s in STEMS}
    report = json.loads((folder / "report.json").read_text())
    assert set(report["files"]) == names - {"report.json"}
    assert all((folder / f).stat().st_size == size for f, size in report["files"].items())


def test_the_folder_holds_everything_the_report_lists_and_nothing_else(covered):
    assert_whole(covered)
    assert not list(covered.parent.glob(f"{PARTIAL_PREFIX}*"))


def test_the_cover_has_the_songs_length_and_loudness_and_stems_sum_to_it(covered, band_recording):
    cover = samples(covered / "cover.wav")
    source = SoundFile.of(band_recording)
    assert SoundFile.of(covered / "cover.wav").duration_s == pytest.approx(source.duration_s, abs=1e-4)
    stems = sum(samples(covered / f"stems/{s}.wav") for s in STEMS)
    assert np.abs(stems - cover).max() < 1e-5
    assert integrated_loudness(SoundFile.of(covered / "cover.wav").blocks(), 44_100) == pytest.approx(-14, abs=0.5)
    assert np.abs(cover).max() <= 10 ** (-1 / 20)


def test_the_song_was_understood(covered):
    sheet = from_json((covered / "leadsheet.json").read_text())
    ratio = sheet.tempo_bpm / (60 / BEAT_S)
    assert min(abs(ratio - r) for r in (0.5, 1.0, 2.0)) < 0.005
    assert sheet.key in ("C:maj", "A:min")
    assert sheet.metre == "4/4"
    figures = json.loads((covered / "report.json").read_text())["figures"]
    assert figures["style"]["score"] > figures["style"]["score_of_copy"]
    assert figures["style"]["score"] > figures["style"]["score_of_other"] > 0
    assert all(row["other"] for row in figures["summary"] if "ms" not in row["label"])


@pytest.mark.parametrize("words", [["--style", "cyclegan-jazz"], ["--set", "harmony=0", "--set", "swing=0"]])
def test_a_cover_with_little_of_its_style_is_doubted(covered, tmp_path, words):
    write_midi(band_score(), tmp_path / "song.mid")
    told = contrafact("cover", tmp_path / "song.mid", "-o", tmp_path, *words, check=True).stdout
    reports = [json.loads((f / "report.json").read_text()) for f in (*tmp_path.glob("song.*/"), covered)]
    assert [r["figures"]["style"]["score"] < ACCEPTED for r in reports] == [True, False]
    doubted = [[w["message"] for w in r["warnings"] if "style score" in w["message"]] for r in reports]
    assert [len(d) for d in doubted] == [1, 0]
    assert f"{reports[0]['figures']['style']['score']:.2f}, below {ACCEPTED}" in doubted[0][0]
    assert f"note: {doubted[0][0]}" in told


def test_running_again_skips_and_force_gives_the_same_bytes(covered, band_recording):
    before = {f: f.read_bytes() for f in covered.rglob("*") if f.is_file() and "report" not in f.name}
    again = contrafact("cover", band_recording, "-o", covered.parent)
    assert again.returncode == 0
    assert "already done" in again.stdout
    forced = contrafact("cover", band_recording, "-o", covered.parent, "--force")
    assert forced.returncode == 0
    assert "already done" not in forced.stdout
    assert {f: f.read_bytes() for f in before} == before


def test_a_cover_that_was_changed_since_stays_and_is_named(tmp_path):
    write_midi(band_score(), tmp_path / "song.mid")
    words = ["cover", tmp_path / "song.mid", "-o", tmp_path, "--preview", 5]
    assert "was changed since" not in contrafact(*words, check=True).stdout
    mine, other = tmp_path / "song.jazz-trio", tmp_path / "song.jazz-trio-2"
    (mine / "cover.mid").write_bytes(b"arranged anew by hand")
    told = f"{mine} was changed since it was made and stays as it is; this cover is {other}."
    assert f"note: {told}" in contrafact(*words, check=True).stdout
    assert json.loads(contrafact(*words, "--json", check=True).stdout.splitlines()[-1])["warnings"][-1] == told
    assert (mine / "cover.mid").read_bytes() == b"arranged anew by hand"
    forced = contrafact(*words, "--force", check=True).stdout
    assert f"done, {mine}\n" in forced
    assert "was changed since" not in forced


def test_another_seed_does_not_touch_the_take_that_is_there(covered, band_recording):
    before = {f: f.read_bytes() for f in covered.rglob("*") if f.is_file()}
    words = ["--seed", 5, "--set", "swing=0", "--json"]
    other = contrafact("cover", band_recording, "-o", covered.parent, *words)
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout.splitlines()[-1])["folder"] == f"{covered}-2"
    assert {f: f.read_bytes() for f in before} == before
    assert "Turned: swing = 0.0, seed = 5. The" in (Path(f"{covered}-2") / "report.html").read_text()
    assert "Turned:" not in (covered / "report.html").read_text()
    again = contrafact("cover", band_recording, "-o", covered.parent, *words)
    assert json.loads(again.stdout.splitlines()[-1])["event"] == "skipped"


def test_no_training_or_drawing_package_is_imported(band_recording, tmp_path):
    script = (
        "import sys\n"
        "from contrafact.cli import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "except SystemExit as done:\n    assert not done.code, done.code\n"
        "print('LOADED', sorted({'torch', 'librosa', 'matplotlib', 'music21', 'numba'} & set(sys.modules)))\n"
    )
    words = ["cover", str(band_recording), "-o", str(tmp_path), "--style", "ballad"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_an_edited_lead_sheet_is_obeyed(covered, band_recording, tmp_path):
    sheet = json.loads((covered / "leadsheet.json").read_text())
    sheet["melody"] = [{"onset_s": round(i * 4 * BEAT_S, 4), "duration_s": 2.0, "pitch": 81} for i in range(8)]
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(sheet))
    done = contrafact("cover", band_recording, "-o", tmp_path, "--leadsheet", edited, "--set", "density=0.0")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "Twelve Bars.jazz-trio"
    assert to_json(from_json((folder / "leadsheet.json").read_text())) == to_json(from_json(edited.read_text()))
    melody = read_midi(folder / "cover.mid").part("melody")
    assert {n.pitch % 12 for n in melody.notes if n.duration_s > 1} == {81 % 12}


def test_a_lead_sheet_with_nonsense_is_refused_before_anything_is_written(band_recording, tmp_path):
    edited = tmp_path / "edited.json"
    edited.write_text('{"beats_s": "all of them"}')
    done = contrafact("cover", band_recording, "-o", tmp_path / "out", "--leadsheet", edited)
    assert done.returncode == 2
    assert "beats_s" in done.stderr
    assert not any((tmp_path / "out").glob("*/"))


def test_a_midi_file_is_covered_with_its_own_notes(tmp_path):
    write_midi(band_score(), tmp_path / "song.mid")
    done = contrafact("cover", tmp_path / "song.mid", "-o", tmp_path, "--style", "bossa-nova")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "song.bossa-nova" / "report.json").read_text())
    assert report["source"]["format"] == "MIDI"
    assert set(report["models"]) == {"soundfont", "leadsheet", "leadsheet_wide", "jazz_lines"}


def test_preview_transpose_and_format(band_recording, tmp_path):
    words = ["--preview", 10, "--transpose", 2, "--format", "flac", "--json"]
    afresh = os.environ | {"CONTRAFACT_CACHE": str(tmp_path / "cache")}
    done = contrafact("cover", band_recording, "-o", tmp_path, *words, env=afresh)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["event"] == "done"
    assert {line["stage"] for line in lines if line["event"] == "stage"} >= {"transcribe", "mix"}
    shares = [line["done"] for line in lines if line["event"] == "stage"]
    assert shares == sorted(shares)
    for stage, least in (
        ("transcribe", 3),
        ("render", 4),
        ("mix", 8),
    ):  # inside the stage too
        assert len({line["done"] for line in lines if line.get("stage") == stage}) >= least
    folder = Path(lines[-1]["folder"])
    assert SoundFile.of(folder / "cover.flac").duration_s == pytest.approx(10, abs=1e-3)
    assert "Turned: transpose = 2. The" in (folder / "report.html").read_text()
    key = from_json((folder / "leadsheet.json").read_text()).key
    assert key in ("C:maj", "A:min")  # the lead sheet is the song's own
    plain = contrafact("cover", band_recording, "-o", tmp_path / "plain", "--preview", 10, "--format", "flac")
    assert plain.returncode == 0
    moved, own = (read_midi(f / "cover.mid").part("bass") for f in (folder, tmp_path / "plain" / folder.name))
    profile = [np.bincount([n.pitch % 12 for n in p.notes], minlength=12) / len(p.notes) for p in (moved, own)]
    shifts = [float(profile[0] @ np.roll(profile[1], shift)) for shift in range(12)]
    assert int(np.argmax(shifts)) == 2


def test_a_tempo_that_is_asked_for_is_the_covers_and_needs_no_lead_sheet(band_recording, tmp_path):
    words = ["--preview", 12, "--json", "--tempo", 200]
    done = contrafact("cover", band_recording, "-o", tmp_path, *words, check=True)
    folder = Path(json.loads(done.stdout.splitlines()[-1])["folder"])
    sheet = folder / "leadsheet.json"
    assert from_json(sheet.read_text()).tempo_bpm == pytest.approx(200, rel=0.01)
    assert "Turned: tempo_bpm = 200.0. The" in (folder / "report.html").read_text()
    refused = contrafact("cover", band_recording, "-o", tmp_path, "--leadsheet", sheet, *words)
    assert refused.returncode != 0
    assert "own beats" in refused.stdout + refused.stderr


def test_the_report_tells_which_networks_heard_and_played(band_recording, tmp_path):
    for knobs, played in (([], set()), (["--set", "harmonizer=jazz_neural"], {"jazz_harmony"})):
        done = contrafact("cover", band_recording, "-o", tmp_path, "--preview", 5, "--json", *knobs, check=True)
        folder = Path(json.loads(done.stdout.splitlines()[-1])["folder"])
        models = json.loads((folder / "report.json").read_text())["models"]
        assert set(models) == {"soundfont", "basic_pitch", "leadsheet", "leadsheet_wide", "jazz_lines"} | played
        assert all(
            models[name] == weights.card(name).sha256 for name in {"leadsheet", "leadsheet_wide", "jazz_lines"} | played
        )


def test_one_bad_song_does_not_stop_the_others(band_recording, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF nonsense")
    done = contrafact("cover", bad, band_recording, "-o", tmp_path / "out", "--preview", 5)
    assert done.returncode == 1
    assert "bad.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "Twelve Bars.jazz-trio" / "report.json").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--style", "jazz-tri"], "jazz-trio"),
        (["--set", "swin=1"], "swing"),
        (["--set", "harmony=7"], "harmony"),
        (["--set", "melody_instrument=kazoo"], "kazoo"),
        (["--transpose", "40"], "transpose"),
        (["--preview", "-3"], "preview"),
        (["--tempo", "12"], "40 to 240"),
        (["--leadsheet", "/no/such.json"], "lead sheet"),
        (["--preview", "soon"], "preview"),
        (["--set", "harmony=abc"], "harmony"),
        (["--format", "m4a"], "'flac'"),
        (["--formt", "flac"], "--format"),
        (["--preview"], "preview"),
    ],
)
def test_bad_usage_says_what_to_do_in_one_line(band_recording, tmp_path, words, hint):
    done = contrafact("cover", band_recording, "-o", tmp_path, *words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert re.fullmatch(r"[^\n]+[.?] [^\n]+[.?] \[[A-Z_]+\]\n", done.stderr)
    told = contrafact("cover", "--json", band_recording, "-o", tmp_path, *words)
    assert told.returncode == 2
    (line,) = map(json.loads, told.stdout.splitlines())
    assert line["event"] == "failed"
    assert done.stderr == f"{line['sentence']} {line['next_step']} [{line['code']}]\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "hint", "command"),
    [(["covr"], "'cover'", ""), (["cover"], "songs", "cover "), (["evaluate", "song.wav"], "folder", "evaluate ")],
)
def test_a_wrong_or_unfinished_command_is_told_in_the_same_way(words, hint, command):
    done = contrafact(*words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert re.fullmatch(rf"[^\n]+[.?] See `.*contrafact {command}--help`\. \[USAGE\]\n", done.stderr)


def test_the_bare_command_shows_its_help():
    done = contrafact()
    assert done.returncode == 2
    assert "contrafact cover song.mp3" in done.stdout
    assert done.stderr == ""


def aside(folder: Path, module: str, content: str) -> dict[str, str]:
    """An environment in which a module of that name comes before the installed one."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(content)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize(
    ("code", "words", "missing"),
    [
        ("SOUNDFONT_MISSING", ["--soundfont", "/no/such.sf2"], ""),
        ("SOUNDFONT_BROKEN", ["--soundfont", __file__], ""),
        ("FLUIDSYNTH_MISSING", [], "fluidsynth"),
        ("MODEL_MISSING", [], "basic_pitch"),
    ],
)
def test_what_all_songs_need_is_missed_once_and_before_any_work(band_recording, tmp_path, code, words, missing):
    broken = {"fluidsynth": "raise ImportError('Could not find the FluidSynth library.')", "basic_pitch": ""}
    environment = aside(tmp_path, missing, broken[missing]) if missing else None
    songs = [band_recording, band_recording]
    done = contrafact("cover", *songs, "-o", tmp_path / "out", "--json", *words, env=environment)
    assert done.returncode == 1, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["event"], line["code"], line.get("song")) for line in lines] == [("failed", code, None)]
    assert not (tmp_path / "out").exists()


def test_only_recordings_need_somebody_who_hears_notes(band_recording, tmp_path, monkeypatch):
    write_midi(band_score(), tmp_path / "song.mid")
    monkeypatch.setattr(basic_pitch, "MODEL", replace(basic_pitch.MODEL, package="no_such_package"))
    with pytest.raises(MissingError, match="no_such_package"):
        check(Settings(reader="heuristic"), songs=[band_recording])
    check(Settings(reader="heuristic"), songs=[band_recording, tmp_path / "song.mid"])
    check(Settings(reader="neural"), songs=[band_recording])
    monkeypatch.setattr("contrafact.renderers.soundfont.PLACES", ())
    with pytest.raises(MissingError, match="SOUNDFONT_MISSING"):
        check(Settings())


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("delay_s", [0.8, 2.5, 5.0])
def test_interrupted_at_any_moment_leaves_no_half_cover(band_recording, tmp_path, sign, status, delay_s):
    command = [sys.executable, "-m", "contrafact", "cover", str(band_recording), "-o", str(tmp_path), "--force"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(delay_s)
    os.killpg(process.pid, sign)
    process.communicate(timeout=60)
    finished = [f for f in tmp_path.iterdir() if not f.name.startswith(PARTIAL_PREFIX)]
    if process.returncode == 0:  # it was quicker
        assert len(finished) == 1
        return
    early = {-sign}  # the interpreter was still starting
    if sign != signal.SIGKILL:
        early.add(
            -signal.SIGINT
        )  # so CPython ends after any interruption in code that an extension ran while it loaded
    assert process.returncode in {status, *early}
    if finished:  # after its last step, before its process was gone
        assert_whole(finished[0])
    elif sign != signal.SIGKILL:
        assert not list(tmp_path.iterdir())
    else:
        done = contrafact("cover", band_recording, "-o", tmp_path)
        assert done.returncode == 0, done.stderr
        assert [f.name for f in tmp_path.iterdir()] == ["Twelve Bars.jazz-trio"]


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_fails_because_of_an_interruption_is_told_as_one(sign, status, tmp_path, monkeypatch, capsys):
    """As libraries do whose loading is interrupted: they raise something else."""

    def swallow(**_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(sign)
        raise ImportError("initialization failed")

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(interruption, "_received", [])
    monkeypatch.setattr(cli, "app", swallow)
    monkeypatch.setenv("CONTRAFACT_CACHE", str(tmp_path))
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended.value.code == status
    assert capsys.readouterr().err == "Interrupted; nothing was left half-written.\n"
    assert not list(tmp_path.iterdir()), "no report of a crash"


def test_a_song_that_may_not_be_read_does_not_keep_the_others_from_their_turn(tmp_path, monkeypatch):
    (tmp_path / "locked.wav").write_bytes(b"RIFF")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path) and access(path, mode))
    told = CliRunner().invoke(
        app, ["cover", str(tmp_path / "locked.wav"), str(tmp_path / "none.wav"), "-o", str(tmp_path)]
    )
    assert told.exit_code == 1
    assert "0 of 2 songs covered" in told.output
    assert "INPUT_MISSING" in told.output


def test_an_output_folder_that_is_a_file(band_recording, tmp_path):
    (tmp_path / "out").write_text("in the way")
    done = contrafact("cover", band_recording, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "OUTPUT" in done.stderr
    assert (tmp_path / "out").read_text() == "in the way"


def test_single_stages_follow_one_another(band_recording, tmp_path):
    contrafact("transcribe", band_recording, "-o", tmp_path / "notes.mid", check=True)
    score = read_midi(tmp_path / "notes.mid")
    assert len(score.parts[0].notes) > 50
    told = contrafact("leadsheet", band_recording, "-o", tmp_path / "sheet.json", "--json", check=True).stdout
    sheet = json.loads((tmp_path / "sheet.json").read_text())
    np.testing.assert_allclose(score.grid.beats_s[1:9], sheet["beats_s"][1:9], atol=0.005)
    facts = json.loads(told)
    assert (facts["metre"], facts["key"]) == (sheet["metre"], sheet["key"])
    assert facts["tempo_bpm"] == pytest.approx(60 / np.median(np.diff(sheet["beats_s"])), rel=0.01)
    asked = contrafact(
        "transcribe", band_recording, "-o", tmp_path / "fast.mid", "--tempo", round(2 * facts["tempo_bpm"]), check=True
    )
    assert asked.returncode == 0
    faster = np.diff(read_midi(tmp_path / "fast.mid").grid.beats_s)
    assert np.median(faster) == pytest.approx(30 / facts["tempo_bpm"], rel=0.02)
    contrafact("leadsheet", band_recording, "-o", tmp_path / "sheet.musicxml", check=True)
    contrafact("arrange", tmp_path / "sheet.json", "-o", tmp_path / "trio.mid", check=True)
    assert {p.name for p in read_midi(tmp_path / "trio.mid").parts} == STEMS
    contrafact("render", tmp_path / "trio.mid", "-o", tmp_path / "trio.flac", check=True)
    assert np.abs(samples(tmp_path / "trio.flac")).max() > 0.1
    wrong = contrafact("leadsheet", band_recording, "-o", tmp_path / "sheet.pdf")
    assert wrong.returncode == 2
    assert ".musicxml" in wrong.stderr


def test_evaluate_measures_the_cover_and_refuses_another_songs(covered, band_recording, tmp_path):
    done = contrafact("evaluate", band_recording, covered, "--json", check=True)
    figures = {d["figure"]: d["value"] for d in map(json.loads, done.stdout.splitlines())}
    assert figures["mca_copy"] == pytest.approx(1.0)
    assert figures["mca"] > figures["mca_other"]
    assert figures["qmax_copy"] < figures["qmax"]
    told = contrafact("evaluate", band_recording, covered, check=True).stdout.splitlines()
    assert len(told) == 4
    words = ("higher is nearer", "lower is nearer")
    for name, line, verdict, word in zip(("mca", "qmax"), told[::2], told[1::2], words, strict=True):
        assert word in line
        assert "nearer to its song" in verdict
        value, copy, other = (f"{figures[name + anchor]:.3f}" for anchor in ("", "_copy", "_other"))
        assert f"{value} (a copy of the song {copy}, the nearest other song {other})" in line
    voice = contrafact("evaluate", band_recording, covered, "--voice", covered / "stems" / "drums.wav", "--json")
    of_voice = {d["figure"]: d["value"] for d in map(json.loads, voice.stdout.splitlines())}
    assert of_voice["mca"] < figures["mca"], "drums sing nothing that the melody could follow"
    assert of_voice["qmax"] == figures["qmax"]
    other = tmp_path / "other.wav"
    other.write_bytes(band_recording.read_bytes() + b"x")
    refused = contrafact("evaluate", other, covered)
    assert refused.returncode == 1
    assert "COVER_OTHER_SONG" in refused.stderr


def test_a_distance_without_end_is_null_for_programs_and_said_to_people(tmp_path, monkeypatch):
    figures = dict.fromkeys(("mca", "mca_copy", "mca_other", "qmax_copy", "qmax_other"), 0.25) | {"qmax": float("inf")}
    monkeypatch.setattr("contrafact.cover.evaluate", lambda *_: figures)
    words = ["evaluate", "song.wav", str(tmp_path)]
    lines = CliRunner().invoke(app, [*words, "--json"]).stdout.splitlines()
    told = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert {t["figure"]: t["value"] for t in told} == figures | {"qmax": None}
    shown = CliRunner().invoke(app, words).stdout
    assert "infinite (a copy of the song 0.250" in shown
    assert shown.count("not recognized") == 2


def test_the_reader_that_is_asked_for_listens(band_recording, tmp_path):
    done = contrafact("cover", band_recording, "-o", tmp_path, "--reader", "neural", "--preview", "12")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "Twelve Bars.jazz-trio" / "report.json").read_text())
    assert f"played: {report['played']['tempo_bpm']:.1f} beats a minute, 4/4" in done.stdout
    assert report["settings"]["reader"] == "neural"
    assert {"neural", "basic_pitch"} & set(report["models"]) == {"neural"}
    found = {}
    for reader in ("neural", "heuristic"):
        target = tmp_path / f"{reader}.json"
        told = contrafact("leadsheet", band_recording, "-o", target, "--reader", reader, check=True).stdout
        assert re.search(r"heard: \d+\.\d beats a minute, 4/4, [A-G]", told)
        found[reader] = target.read_text()
        contrafact("transcribe", band_recording, "-o", tmp_path / f"{reader}.mid", "--reader", reader, check=True)
    assert found["neural"] != found["heuristic"]
    counts = [len(read_midi(tmp_path / f"{reader}.mid").parts[0].notes) for reader in ("neural", "heuristic")]
    assert counts[0] != counts[1]


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def beeping_soundfont(path: Path) -> Path:
    """An SF2 file (specification 2.04) whose every program and drum kit is one looped sine, tuned."""
    loop, rounds, rate, key = 100, 8, 44_100, 69  # 441 Hz
    name = struct.Struct("20s").pack
    wave = 20_000 * np.sin(2 * np.pi * np.arange(loop * rounds) / loop)
    samples = np.r_[wave, np.zeros(46)].astype("<i2").tobytes()
    programs = [(program, 0) for program in range(128)] + [(0, 128)]
    presets = [name(b"beep") + struct.pack("<HHHIII", *p, bag, 0, 0, 0) for bag, p in enumerate(programs)]
    header = struct.pack("<5IBbHH", 0, loop * rounds, loop, loop * (rounds - 1), rate, key, 0, 0, 1)
    tables = {
        b"phdr": b"".join(presets) + name(b"EOP") + struct.pack("<HHHIII", 0, 0, len(programs), 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", i, 0) for i in range(len(programs) + 1)),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HH", 41, 0) * len(programs) + bytes(4),  # instrument 0
        b"inst": name(b"beep") + struct.pack("<H", 0) + name(b"EOI") + struct.pack("<H", 1),
        b"ibag": struct.pack("<4H", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<4H", 54, 1, 53, 0) + bytes(4),  # looped, sample 0
        b"shdr": name(b"beep") + header + name(b"EOS") + bytes(26),
    }
    pdta = b"pdta" + b"".join(chunk(k, v) for k, v in tables.items())
    info = b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"beep")
    lists = (info, b"sdta" + chunk(b"smpl", samples), pdta)
    path.write_bytes(chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", part) for part in lists)))
    return path


def harmonics(path: Path) -> float:
    """Share of a sound's power above 1,500 Hz, where sines of the bass and a low melody have none."""
    power = np.abs(np.fft.rfft(samples(path).mean(axis=0))) ** 2
    return float(power[int(1500 * len(power) / 22_050) :].sum() / power.sum())


def test_another_soundfont_plays(tmp_path):
    font = beeping_soundfont(tmp_path / "beep.sf2")
    bass = band_score().part("bass")
    write_midi(Score((replace(bass, program=0),)), tmp_path / "bass.mid")
    write_midi(band_score(), tmp_path / "song.mid")
    shares = {}
    for name, words in (("usual", []), ("beep", ["--soundfont", font])):
        contrafact("render", tmp_path / "bass.mid", "-o", tmp_path / f"{name}.wav", *words, check=True)
        words += ["--style", "jazz-piano", "--preview", 5]
        contrafact("cover", tmp_path / "song.mid", "-o", tmp_path / name, *words, check=True)
        folder = tmp_path / name / "song.jazz-piano"
        played_by = json.loads((folder / "report.json").read_text())["models"]["soundfont"]
        assert (str(font) in played_by) == (name == "beep")
        shares[name] = [harmonics(f) for f in (tmp_path / f"{name}.wav", folder / "stems" / "piano.wav")]
    assert max(shares["beep"]) < min(shares["usual"]) / 10


def test_every_option_of_arrange_changes_its_own_thing(covered, tmp_path):
    def arranged(*words: object) -> Score:
        contrafact("arrange", covered / "leadsheet.json", "-o", tmp_path / "x.mid", *words, check=True)
        return read_midi(tmp_path / "x.mid")

    plain = arranged("--set", "density=0")
    told = contrafact("arrange", covered / "leadsheet.json", "-o", tmp_path / "x.mid", "--style", "ballad", check=True)
    assert re.search(r"played: (\d+\.\d) beats a minute", told.stdout).group(1) != "100.0", "a ballad is slower"
    assert {p.name for p in arranged("--style", "bossa-nova").parts} == {"melody", "guitar", "bass", "drums"}
    assert arranged("--set", "density=0", "--seed", 5).part("bass") != plain.part("bass")
    assert arranged("--set", "melody_instrument=trumpet").part("melody").program == 56
    moved = arranged("--set", "density=0", "--transpose", 3).part("melody").notes
    assert [n.pitch for n in moved] == [n.pitch + 3 for n in plain.part("melody").notes]


def test_the_version_is_the_packages():
    assert contrafact("--version", check=True).stdout.strip() == version("contrafact")


def test_lists_and_doctor():
    styles = [json.loads(line) for line in contrafact("styles", "--json", check=True).stdout.splitlines()]
    assert {"jazz-trio", "jazz-piano", "bossa-nova", "jazz-waltz", "ballad", "pop-piano", "ragtime"} <= {
        s["style"] for s in styles
    }
    models = [json.loads(line) for line in contrafact("models", "--json", check=True).stdout.splitlines()]
    assert all(m["license"] and m["source"] for m in models)
    assert "basic_pitch" in {m["name"] for m in models}
    assert "{" not in contrafact("models", check=True).stdout, "figures of cards are sentences"
    told = contrafact("doctor", "--json", env=os.environ | {"CI": "true"})  # with it set, packages print more
    doctor = [json.loads(line) for line in told.stdout.splitlines() if line.strip()]
    assert doctor, told.stderr
    assert {d["name"] for d in doctor} >= {"ffmpeg", "cache", "FluidSynth, soundfont"}
