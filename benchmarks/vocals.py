"""Does the melody follow the singer? Lead sheets of real songs against the fundamental of their clean voices.

    python benchmarks/vocals.py

The songs are those of the data whose voice is there by itself; its fundamental is that of pYIN (Mauch and Dixon, ICASSP
2014; librosa), where the voice is loud enough to be heard. All readers, and the highest transcribed note, hear the mix
alone. What notes of equal temperament can say of a voice at best is told too: the clean voice's own fundamental, as
notes by the decoder that all networks use.

Three libraries that users would otherwise take stand beside them (``pip install contrafact[peers]``): SwiftF0, a
network that follows one voice (Nieradzik 2025); Praat's autocorrelation, which does too (Boersma 1993; parselmouth,
under the GPL 3.0); and Melodia, which follows the voice of a mix (Salamon and Gómez, IEEE TASLP 2012; essentia, under
the AGPL 3.0). They answer with a pitch for every frame, as fine as they hear it, instead of notes; those of the clean
voice tell how far two followers of pitch agree on it. ``rca_agreed`` counts only the frames in which SwiftF0, of the
clean voice and be it guessing, agrees with pYIN up to octaves (``agreed`` is their share of the sung ones): elsewhere
it is open what was sung. SwiftF0 itself, for which these are easy frames, has no such figure. ``guessing``: where a
reader has a rest, the pitch of the nearest note is its guess, as those followers guess there; raw accuracies count
guesses (Poliner et al., IEEE TASLP 2007). Results go to ``benchmarks/results/vocals.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soxr
from numpy.typing import NDArray

from contrafact import cover, hearing
from contrafact.audio import ANALYSIS_RATE
from contrafact.data.corpus import data_folder
from contrafact.leadsheet import MelodyNote
from contrafact.leadsheets.neural import _melody
from contrafact.leadsheets.neural._labels import LOWEST_MELODY, REST
from contrafact.leadsheets.neural._spectra import FRAME_RATE
from contrafact.score import Transcription
from contrafact.settings import Settings
from leadsheet import HOP_S, contour_of, contour_scores, highest_notes
from record import record

READERS = ("mixed", "neural", "heuristic")
QUIETEST_DB = -40.0  # of the voice, below its loudest frames; what is quieter is breath and spill
TARGET = 0.75
DOUBT = 0.1
PERFECT = "the voice itself, as notes"
ALONE = "{}, of the voice alone"
PACKAGES = ("swift_f0", "parselmouth", "essentia")
SECOND = "SwiftF0"  # whose opinion of the clean voice is asked too
LOWEST_HZ, HIGHEST_HZ = 65.0, 1050.0
Floats = NDArray[np.float32]
Contour = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times in seconds, and Hz at them."""


def songs(data: Path) -> dict[str, tuple[Path, Path, float]]:
    """Mix, voice and where the voice begins in the mix, in seconds, by name."""
    found = {}
    for name in ("francium", "lithium", "sodium"):
        folder = data / "audio_everythingisfree" / name
        offset = json.loads((folder.parent / "stems.json").read_text("utf-8"))[name]["stem_offset_s"]
        found[name] = (folder / "mix.ogg", folder / "stem_vocals.ogg", float(offset))
    bristol = data / "audio_bristol7s"
    voice = bristol / "political_captain_track2.mp3"
    return {**found, "political_captain": (bristol / "political_captain_mix.mp3", voice, 0.0)}


def fundamental(voice: Floats) -> Contour:
    """Times and fundamental in Hz at `HOP_S`, 0 where nothing is sung."""
    hop = 256
    f0, voiced, _ = librosa.pyin(voice, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=ANALYSIS_RATE, hop_length=hop)
    level = librosa.amplitude_to_db(librosa.feature.rms(y=voice, hop_length=hop)[0], ref=np.max)[: len(f0)]
    sung = np.where(voiced & (level > QUIETEST_DB), np.nan_to_num(f0), 0.0)
    times = np.arange(0, len(voice) / ANALYSIS_RATE, HOP_S)
    return times, sung[np.minimum(np.rint(times * ANALYSIS_RATE / hop).astype(int), len(sung) - 1)]


def as_notes(truth: Contour) -> list[MelodyNote]:
    """A fundamental as the notes of a listener who is nearly sure of it."""
    times, hz = truth
    frames = np.arange(int(times[-1] * FRAME_RATE) + 1) / FRAME_RATE
    heard = hz[np.minimum(np.rint(frames / HOP_S).astype(int), len(hz) - 1)]
    pitch = np.rint(69 + 12 * np.log2(np.maximum(heard, 1.0) / 440)).astype(int) - LOWEST_MELODY
    melody = np.full((len(frames), REST + 1), np.log(DOUBT / REST), np.float32)
    melody[np.arange(len(frames)), np.where(heard > 0, np.clip(pitch, 0, REST - 1), REST)] = np.log(1 - DOUBT)
    return list(_melody.find_melody(melody, np.zeros(len(frames), np.float32)))


def moved(melody: Sequence[MelodyNote], offset_s: float) -> list[MelodyNote]:
    """The melody on the voice's clock."""
    later = (MelodyNote(n.onset_s - offset_s, n.duration_s, n.pitch, n.confidence) for n in melody)
    return [n for n in later if n.onset_s >= 0]


def by_swift_f0(samples: Floats) -> Contour:
    """Times and Hz of SwiftF0, negative where it is rather sure that nobody sings."""
    from swift_f0 import SwiftF0

    heard = SwiftF0(threads=1).detect(soxr.resample(samples, ANALYSIS_RATE, 16_000), 16_000)
    return heard.timestamps, np.where(heard.confidence >= 0.5, heard.pitch_hz, -heard.pitch_hz)


def by_praat(samples: Floats) -> Contour:
    """Times and Hz of Praat, negative where it hears no voice and is made to guess."""
    from parselmouth import Sound

    sound = Sound(samples.astype(np.float64), ANALYSIS_RATE)
    span = {"time_step": HOP_S, "pitch_floor": LOWEST_HZ, "pitch_ceiling": HIGHEST_HZ}
    heard = sound.to_pitch_ac(**span)
    guessed = sound.to_pitch_ac(**span, voicing_threshold=0.0, silence_threshold=0.0).selected_array["frequency"]
    sure = heard.selected_array["frequency"]
    return heard.xs(), np.where(sure > 0, sure, -guessed)


def by_melodia(samples: Floats) -> Contour:
    """Times and Hz of Melodia, negative where it guesses, at the settings of its paper."""
    from essentia import standard

    fine = standard.EqualLoudness()(soxr.resample(samples, ANALYSIS_RATE, 44_100))
    hz, _ = standard.PredominantPitchMelodia(frameSize=2048, hopSize=128, guessUnvoiced=True)(fine)
    return np.arange(len(hz)) * 128 / 44_100, hz.astype(np.float64)


def contour(truth: Contour, melody: Sequence[MelodyNote]) -> NDArray[np.float64]:
    """Hz of notes at the times of the truth; where they rest, that of the nearest note, negative."""
    times, _ = truth
    if not melody:
        return np.zeros(len(times))
    begin = np.array([n.onset_s for n in melody])
    end = begin + [n.duration_s for n in melody]
    hz = 440 * 2 ** ((np.array([n.pitch for n in melody]) - 69) / 12)
    last = np.maximum(np.searchsorted(begin, times, side="right") - 1, 0)
    following = np.minimum(last + 1, len(melody) - 1)
    nearest = np.where(times - end[last] <= begin[following] - times, last, following)
    sung = contour_of(times, melody)
    return np.where(sung > 0, sung, -hz[nearest])


def scores(truth: Contour, estimate: NDArray[np.float64], agreed: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """`leadsheet.contour_scores`, without guesses and with them, and the same where it is known what was sung.

    Args:
        truth: times and Hz.
        estimate: Hz at these times, negative for guesses.
        agreed: whether it is known, at these times; None leaves those figures out.
    """
    heard = np.maximum(estimate, 0.0)
    found = contour_scores(truth, heard) | {"rca_guessing": contour_scores(truth, estimate)["rca"]}
    if agreed is not None:
        known = truth[0], np.where(agreed, truth[1], 0.0)
        found |= {"rca_agreed": contour_scores(known, heard)["rca"]}
        found |= {"rca_agreed_guessing": contour_scores(known, estimate)["rca"]}
    return found


PEERS = {"SwiftF0": by_swift_f0, "Praat": by_praat, "Melodia": by_melodia}


def followed(
    truth: Contour, peer: Callable[[Floats], Contour], samples: Floats, offset_s: float
) -> NDArray[np.float64]:
    """Hz of a peer at the times of the truth, for a sound in which the voice begins at ``offset_s``."""
    times, hz = peer(samples)
    return hz[np.searchsorted((times[1:] + times[:-1]) / 2, truth[0] + offset_s)]


def agreement(truth: Contour, other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where another contour is within half a semitone of the truth, up to octaves."""
    sung = truth[1] > 0
    off = 12 * np.log2(np.maximum(np.abs(other), 1.0) / np.where(sung, truth[1], 1.0))
    return sung & (np.abs((off + 6) % 12 - 6) <= 0.5)


def measure(mix: Path, voice: Path, offset_s: float) -> dict[str, dict[str, float]]:
    """Figures of `scores` by reader and peer."""
    with hearing.heard(voice) as sound:
        alone = sound.analysis.samples[0]
        truth = fundamental(alone)
        by_peer = {name: followed(truth, peer, alone, 0.0) for name, peer in PEERS.items()}
        agreed = agreement(truth, by_peer[SECOND])
        masks = {name: None if name == SECOND else agreed for name in PEERS}
        found = {PERFECT: scores(truth, contour(truth, as_notes(truth)), agreed)}
        found[PERFECT]["agreed"] = float(agreed.sum() / (truth[1] > 0).sum())
        found[ALONE.format("neural")] = scores(truth, contour(truth, read(sound, "neural")[0]), agreed)
        found |= {ALONE.format(name): scores(truth, hz, masks[name]) for name, hz in by_peer.items()}
    with hearing.heard(mix) as sound:
        for reader in READERS:
            melody, notes = read(sound, reader)
            found[reader] = scores(truth, contour(truth, moved(melody, offset_s)), agreed)
            if reader == "heuristic":
                highest = moved(highest_notes(notes), offset_s)
                found["highest note"] = scores(truth, contour(truth, highest), agreed)
        for name, peer in PEERS.items():
            found[name] = scores(truth, followed(truth, peer, sound.analysis.samples[0], offset_s), masks[name])
    return found


def read(sound: hearing.Heard, reader: str) -> tuple[Sequence[MelodyNote], Transcription]:
    """The melody, and the notes that it was found among."""
    settings = Settings(reader=reader)
    notes = cover.transcribe(sound, settings)
    return cover.leadsheet(sound, notes, settings).melody, notes


def main() -> None:
    """Run, print a table, write the results."""
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        sys.exit(f"{', '.join(missing)}: not installed; pip install 'contrafact[peers]'")
    rows: dict[str, Any] = {}
    for name, (mix, voice, offset_s) in songs(data_folder()).items():
        rows[name] = measure(mix, voice, offset_s)
        for reader, figures in rows[name].items():
            print(f"{name:20s} {reader:26s}", *(f"{k} {v:.3f}" for k, v in figures.items()), flush=True)
    means = {
        reader: {k: round(float(np.mean([row[reader][k] for row in rows.values()])), 4) for k in figures}
        for reader, figures in next(iter(rows.values())).items()
    }
    for reader, figures in means.items():
        print(f"{'mean':20s} {reader:26s}", *(f"{k} {v:.3f}" for k, v in figures.items()))
    rounded = {n: {r: {k: round(v, 4) for k, v in f.items()} for r, f in row.items()} for n, row in rows.items()}
    record(
        "vocals", {"what": "melody against pYIN on the clean voice", "target_rca": TARGET, **means, "songs": rounded}
    )


if __name__ == "__main__":
    main()
