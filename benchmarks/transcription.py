"""The transcriber against the package that its network comes from: same notes, and how much faster, on real songs.

    python benchmarks/transcription.py [SONG ...]

Both take a mono WAV file at 22,050 Hz and return notes; each is timed in the same process, in turn, twice, the faster
time counting. Songs are paths below CONTRAFACT_DATA (default ../shared/data).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from basic_pitch import inference
from mir_eval.transcription import precision_recall_f1_overlap
from mir_eval.util import midi_to_hz

from contrafact.audio import Audio
from contrafact.registry import TRANSCRIBERS
from contrafact.runtime import open_session
from contrafact.transcribers import basic_pitch
from record import record

SONGS = (
    "audio_everythingisfree/lithium/mix.ogg",
    "audio_holizna_cc0/001-01-creepy-piano-1.ogg",
    "audio_holizna_cc0/002-03-snow-drift.ogg",
    "audio_game_music/horizonchris96_traitor.ogg",
    "audio_vocal_songs/los_rombos_fantasma.mp3",
    "audio_librosa/brahms_hungarian_dance_5_strings.ogg",
)


def main(songs: Sequence[str]) -> None:
    """Measure every song, print a table, write the result."""
    data = Path(os.environ.get("CONTRAFACT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    model = inference.Model(basic_pitch.MODEL.locate())
    transcribe = TRANSCRIBERS.build("basic_pitch")
    rows = []
    print(f"{'song':52} {'F1':>6} {'difference':>10} {'package s':>9} {'ours s':>7} {'ratio':>6}")
    for song in songs:
        row = measure(data / song, model, transcribe)
        rows.append({"song": song, **row})
        print(
            f"{song:52} {row['note_f1']:6.4f} {row['activation_difference']:10.1e} "
            f"{row['package_s']:9.2f} {row['ours_s']:7.2f} {row['speed_ratio']:6.2f}",
            flush=True,
        )
    summary = {
        "lowest_note_f1": min(r["note_f1"] for r in rows),
        "largest_activation_difference": max(r["activation_difference"] for r in rows),
        "speed_ratio": round(sum(r["package_s"] for r in rows) / sum(r["ours_s"] for r in rows), 3),
        "ours_s_per_s_of_audio": round(sum(r["ours_s"] for r in rows) / sum(r["duration_s"] for r in rows), 4),
    }
    print(summary)
    print(record("transcription", {"peer": "basic-pitch 0.4.0 on ONNX Runtime", **summary, "songs": rows}))


def measure(path: Path, model: inference.Model, transcribe: Callable[[Audio], Any]) -> dict[str, float]:
    """Note F1 (50 ms, offsets free), largest difference of activations, and seconds of both."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = soxr.resample(samples.mean(axis=1), rate, 22_050)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "song.wav"
        soundfile.write(wav, samples, 22_050, subtype="FLOAT")
        seconds: dict[str, list[float]] = {"package": [], "ours": []}
        for _ in range(2):
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                output, _, events = inference.predict(wav, model)
            seconds["package"].append(time.perf_counter() - started)
            started = time.perf_counter()
            audio, _ = soundfile.read(wav, dtype="float32")
            heard = transcribe(Audio(audio[None], 22_050))
            seconds["ours"].append(time.perf_counter() - started)
    package_s, ours_s = min(seconds["package"]), min(seconds["ours"])
    return {
        "duration_s": round(len(samples) / 22_050, 2),
        "note_f1": round(note_f1(events, heard.score.parts[0].notes), 4),
        "activation_difference": difference(samples, output),
        "package_s": round(package_s, 2),
        "ours_s": round(ours_s, 2),
        "speed_ratio": round(package_s / ours_s, 2),
    }


def note_f1(events: Sequence[Any], notes: Sequence[Any]) -> float:
    """F1 of onsets within 50 ms at the right pitch; the package's notes are the reference."""
    theirs = np.array([e[:2] for e in events]), midi_to_hz(np.array([float(e[2]) for e in events]))
    ours = np.array([(n.onset_s, n.end_s) for n in notes]), midi_to_hz(np.array([float(n.pitch) for n in notes]))
    *_, f1, _ = precision_recall_f1_overlap(*theirs, *ours, onset_tolerance=0.05, offset_ratio=None)
    return float(f1)


def difference(samples: np.ndarray, output: dict[str, np.ndarray]) -> float:
    """Largest absolute difference of any activation, over the frames that the package gives."""
    heard = basic_pitch.activations(open_session(basic_pitch.MODEL.locate()), samples, threads=2)
    return max(float(np.abs(getattr(heard, k)[: len(v)] - v).max()) for k, v in output.items())


if __name__ == "__main__":
    main(sys.argv[1:] or SONGS)
