"""Short excerpts of rendered music for networks that learn sound: mixes, single instruments and what lies between.

Each excerpt follows from (seed, index) alone: a passage of a pop909 song, transposed, in another tempo, on random
General MIDI instruments, with bass and drums added, in a dry or a wet room. Excerpts are kept as int16 in shards with a
manifest; making them can be stopped and repeated at any time.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data import pop909, songs
from contrafact.dsp.reverb import Convolver, room_response
from contrafact.errors import InputError, SettingsError
from contrafact.files import write_bytes, write_text
from contrafact.registry import RENDERERS
from contrafact.score import Note, Part, Score

Floats = NDArray[np.float32]
Codes = NDArray[np.int16]
FULL_SCALE = 32767
PEAK = 0.95
PITCHED = range(120)  # General MIDI programs above are sound effects
MANIFEST = "manifest.json"
COMMAND = "python -m contrafact.data.excerpts DIR"
SILENT = 10 ** (-70 / 20)


@dataclass(frozen=True)
class Config:
    """What a collection of excerpts is made of.

    Attributes:
        seed: all choices follow from it.
        sample_rate: Hz.
        excerpt_s: length of an excerpt.
        shards: files.
        per_shard: excerpts in a file.
        soundfont: SF2 or SF3 file; "" finds FluidR3_GM.
        first_song, last_song: numbers of the pop909 songs that are used, both included.
    """

    seed: int = 0
    sample_rate: int = 22_050
    excerpt_s: float = 10.0
    shards: int = 12
    per_shard: int = 30
    soundfont: str = ""
    first_song: int = 1
    last_song: int = 800

    @property
    def samples(self) -> int:
        """Length of an excerpt in samples."""
        return round(self.excerpt_s * self.sample_rate)


def prepare(config: Config, folder: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Render all shards that ``folder`` does not hold yet, then write the manifest.

    Raises:
        MissingError: the corpus, FluidSynth or the soundfont is not there.
        OutputError: the folder cannot be written.
        SettingsError: the folder holds excerpts of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = {**asdict(config), "shards": 0}  # more shards may be added
    if ({**_manifest(folder).get("config", asked), "shards": 0}) != asked:
        raise SettingsError("DATA_FOLDER", f"{folder} holds excerpts made otherwise.", "Choose another folder.")
    write_text(folder / MANIFEST, json.dumps({"config": asdict(config), "excerpts": []}, indent=1))
    told: list[dict[str, Any]] = []
    for shard in range(config.shards):
        path = folder / f"shard-{shard:04d}.npy"
        facts = path.with_suffix(".json")
        if not (path.is_file() and facts.is_file()):
            made = [excerpt(config, shard * config.per_shard + i) for i in range(config.per_shard)]
            buffer = io.BytesIO()
            np.save(buffer, np.stack([codes for codes, _ in made]), allow_pickle=False)
            write_bytes(path, buffer.getvalue())
            write_text(facts, json.dumps([fact for _, fact in made]))
        told += json.loads(facts.read_text("utf-8"))
        tell(shard + 1, config.shards)
    write_text(folder / MANIFEST, json.dumps({"config": asdict(config), "excerpts": told}, indent=1))


def _manifest(folder: Path) -> dict[str, Any]:
    """What the folder is made of; nothing where it does not say."""
    path = folder / MANIFEST
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def load(folder: Path, sample_rate: int) -> Codes:
    """All excerpts in ``folder``, (excerpts, samples) int16, silent ones dropped.

    Raises:
        InputError: TRAIN_DATA_RATE, they were made at another rate than ``sample_rate`` Hz;
            TRAIN_DATA_EMPTY, TRAIN_DATA_SILENT, or TRAIN_DATA_DAMAGED with the file's name.
    """
    paths = sorted(folder.glob("shard-*.npy")) if folder.is_dir() else []
    if not paths:
        raise InputError(
            "TRAIN_DATA_EMPTY", f"There is no sound in {folder}.", "Run: python -m contrafact.data.excerpts DIR"
        )
    made_at = _manifest(folder).get("config", {}).get("sample_rate", sample_rate)
    if made_at != sample_rate:
        sentence = f"The excerpts in {folder} are at {made_at} Hz, but the method works at {sample_rate} Hz."
        raise InputError(
            "TRAIN_DATA_RATE", sentence, f"Run: python -m contrafact.data.excerpts DIR --rate {sample_rate}"
        )
    every = np.concatenate([_shard(path) for path in paths])
    loud = np.abs(every).max(axis=1, initial=0) > SILENT * FULL_SCALE
    if not loud.any():
        raise InputError("TRAIN_DATA_SILENT", f"All sound in {folder} is silence.", "Prepare the excerpts again.")
    return np.asarray(every[loud])


def _shard(path: Path) -> Codes:
    try:
        shard = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as cause:
        raise InputError(
            "TRAIN_DATA_DAMAGED", f"{path} is damaged: {cause}.", "Delete it and prepare again."
        ) from cause
    if shard.ndim != 2 or shard.dtype != np.int16:
        raise InputError("TRAIN_DATA_DAMAGED", f"{path} holds no excerpts.", "Delete it and prepare again.")
    return np.asarray(shard)


def excerpt(config: Config, index: int) -> tuple[Codes, dict[str, Any]]:
    """One excerpt as int16 (samples,), and what it holds."""
    rng = np.random.default_rng([config.seed, index])
    stems: dict[str, Floats] = {}
    while not stems:
        band, name = _band(config, rng)
        score = passage(band, config.excerpt_s, rng)
        stems = _render(score, config)
    kept, kind = _choose(stems, rng)
    levels = {part: float(songs.LEVELS_DB.get(part, 0.0) + rng.uniform(-5, 5)) for part in kept}
    sound = np.sum([_at_level(stems[part], level) for part, level in levels.items()], axis=0)
    room_s = float(rng.uniform(0.2, 1.2)) if rng.random() < 0.6 else 0.0
    if room_s:
        sound = _in_room(sound, room_s, float(rng.uniform(-20, -3)), config.sample_rate, int(rng.integers(1 << 30)))
    mono = sound.mean(axis=0)
    mono *= PEAK / max(float(np.abs(mono).max()), 1e-6)
    facts = {"song": name, "kind": kind, "room_s": round(room_s, 2), "parts": {p.name: p.program for p in score.parts}}
    return np.round(mono * FULL_SCALE).astype(np.int16), facts


def passage(score: Score, length_s: float, rng: np.random.Generator) -> Score:
    """A random passage of a score: transposed, in another tempo, each part on a random instrument."""
    tempo, steps = float(rng.uniform(0.75, 1.3)), int(rng.integers(-6, 7))
    onsets = np.array([n.onset_s for p in score.parts for n in p.notes]) / tempo
    start = float(rng.choice(onsets)) - float(rng.uniform(0, length_s / 2))
    return Score(tuple(_cut(p, start, length_s, tempo, steps, rng) for p in score.parts))


def _cut(part: Part, start: float, length_s: float, tempo: float, steps: int, rng: np.random.Generator) -> Part:
    loudness, program = float(rng.uniform(0.6, 1.25)), int(rng.choice(PITCHED))
    if part.name == "bass" and rng.random() < 0.7:
        program = int(rng.integers(32, 40))
    if part.is_drums:
        program, steps = int(rng.choice([0, 8, 16, 24, 25, 32, 40, 48])), 0
    elif part.name == "piano" and rng.random() < 0.4:
        program = int(rng.integers(0, 8))
    notes = []
    for n in part.notes:
        onset, end = n.onset_s / tempo - start, n.end_s / tempo - start
        if end > 0 and onset < length_s:
            pitch = n.pitch if part.is_drums else int(np.clip(n.pitch + steps, 21, 108))
            velocity = int(np.clip(n.velocity * loudness, 20, 127))
            notes.append(Note(max(onset, 0.0), end - max(onset, 0.0), pitch, velocity))
    pedals = [(max(a / tempo - start, 0.0), b / tempo - start) for a, b in part.pedals if b / tempo > start]
    return Part(part.name, program, tuple(notes), part.is_drums, tuple(p for p in pedals if p[0] < length_s))


def _band(config: Config, rng: np.random.Generator) -> tuple[Score, str]:
    """A song that has melody and piano, arranged for a band."""
    while True:
        name = str(rng.choice(_names(config.first_song, config.last_song)))
        song = pop909.read(name)
        if song.score.part("melody") and song.score.part("piano"):
            return songs.produce(song, int(rng.integers(1 << 30))).score, name


@lru_cache
def _names(first: int, last: int) -> tuple[str, ...]:
    return tuple(name for name in pop909.names() if first <= int(name) <= last)


def _render(score: Score, config: Config) -> dict[str, Floats]:
    """Stems (2, samples) that sound at all."""
    sounding = Score(tuple(p for p in score.parts if p.notes))
    with tempfile.TemporaryDirectory() as temporary:
        renderer = RENDERERS.build("soundfont", sample_rate=config.sample_rate, soundfont=config.soundfont, processes=1)
        made = {n: r.read().samples for n, r in renderer(sounding, Path(temporary), config.excerpt_s).items()}
    return {name: samples for name, samples in made.items() if np.abs(samples).max(initial=0) > SILENT}


def _choose(stems: dict[str, Floats], rng: np.random.Generator) -> tuple[list[str], str]:
    """All parts (half of the time), one (three in ten), or some."""
    names, draw = list(stems), rng.random()
    if draw < 0.5 or len(names) < 2:
        return names, "mix"
    count = 1 if draw < 0.8 else int(rng.integers(1, len(names)))
    chosen = [str(n) for n in rng.choice(names, count, replace=False)]
    return chosen, "solo" if count == 1 else "some"


def _at_level(samples: Floats, level_db: float) -> Floats:
    """With its sounding samples' mean energy at ``level_db``."""
    loud = samples[np.abs(samples) > 0.02 * np.abs(samples).max()]
    return np.asarray(samples * np.float32(10 ** (level_db / 20) / np.sqrt(np.mean(loud**2))))


def _in_room(samples: Floats, rt60_s: float, level_db: float, sample_rate: int, seed: int) -> Floats:
    convolver = Convolver(room_response(rt60_s, 0.01, sample_rate, seed), samples.shape[1])
    return np.asarray(samples + np.float32(10 ** (level_db / 20)) * convolver.push(samples.astype(np.float32)))


def main() -> None:
    """``python -m contrafact.data.excerpts FOLDER [--shards N] [--seed N] [--rate HZ]``."""
    from argparse import ArgumentParser

    usual = Config()
    parser = ArgumentParser(prog="python -m contrafact.data.excerpts", description="Render excerpts to train on.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=usual.shards)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--rate", type=int, default=usual.sample_rate)
    asked = parser.parse_args()
    config = Config(shards=asked.shards, seed=asked.seed, sample_rate=asked.rate)
    prepare(config, asked.folder, lambda done, of: print(f"{done} of {of} shards", flush=True))


if __name__ == "__main__":
    main()
