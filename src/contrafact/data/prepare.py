"""From a recipe to a folder of shards: rendered training songs, or crops of recordings that a user brings."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from contrafact.config import assign, did_you_mean, from_mapping
from contrafact.data import maker, tunes
from contrafact.data.corpus import Split
from contrafact.data.crops import CropConfig, write_crops
from contrafact.data.productions import Ranges, draw
from contrafact.data.shards import Dropped, Item, finished, make_folder, write_manifest, write_shard
from contrafact.errors import ContrafactError, InputError, SettingsError

Kind = Literal["songs", "crops"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SongConfig:
    """Rendered training songs.

    Attributes:
        corpora: drawn from in turn, in this order, so that a corpus named twice gives twice as much.
        split: of the corpora; "test" songs are for measuring alone.
        seed: of everything.
        count: songs or excerpts.
        per_shard: of them in a shard.
        excerpt_s: length of a random excerpt; 0 takes whole songs.
        sample_rate: Hz.
        stems: whether stems are kept.
        production: how songs are played and recorded.
    """

    corpora: tuple[tunes.Corpus, ...] = ("pop909",)
    split: Split = "train"
    seed: int = 0
    count: int = 1000
    per_shard: int = 50
    excerpt_s: float = 0.0
    sample_rate: int = 22_050
    stems: bool = False
    production: Ranges = field(default_factory=Ranges)

    def __post_init__(self) -> None:
        if not self.corpora:
            raise ValueError("corpora is empty")
        if self.count < 1 or self.per_shard < 1:
            raise ValueError("count and per_shard must be 1 or more")
        if self.excerpt_s and not 2 <= self.excerpt_s <= 600:
            raise ValueError(f"excerpt_s is {self.excerpt_s}, but must be 0 or lie in 2..600")
        if not 16_000 <= self.sample_rate <= 48_000:
            raise ValueError(f"sample_rate is {self.sample_rate}, but must lie in 16000..48000")


@dataclass(frozen=True)
class Recipe:
    """A recipe as its TOML file has it; one of the two tables is meant, by ``kind``.

    Attributes:
        kind: "songs" or "crops".
        about: a sentence.
        songs: rendered training songs.
        crops: crops of recordings.
    """

    kind: Kind
    about: str = ""
    songs: SongConfig = field(default_factory=SongConfig)
    crops: CropConfig = field(default_factory=CropConfig)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = files("contrafact.data").joinpath("recipes")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(name: str, changes: dict[str, Any] | None = None) -> Recipe:
    """A recipe by name, or from a TOML file, with changes such as ``{"songs.count": 10}``.

    Raises:
        SettingsError: RECIPE_UNKNOWN, no such recipe or file; RECIPE_DAMAGED, no TOML; an unknown key or wrong value.
    """
    try:
        if name.endswith(".toml"):
            text = Path(name).read_text("utf-8")
        elif name in recipe_names():
            text = files("contrafact.data").joinpath("recipes", f"{name}.toml").read_text("utf-8")
        else:
            raise SettingsError(
                "RECIPE_UNKNOWN", f"There is no recipe {name!r} for data.", did_you_mean(name, recipe_names())
            )
        values = tomllib.loads(text)
    except OSError as cause:
        raise SettingsError("RECIPE_UNKNOWN", f"{name} cannot be read: {cause}.", "Check its name.") from cause
    except ValueError as cause:
        raise SettingsError("RECIPE_DAMAGED", f"{name} is no TOML: {cause}.", "Correct it.") from cause
    for key, value in (changes or {}).items():
        assign(values, key, value)
    return from_mapping(Recipe, values)


def prepare(recipe: Recipe, folder: Path, jobs: int = 1, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Make the recipe's data in ``folder``; what is there already is kept, so an interrupted run goes on.

    Args:
        recipe: what to make.
        folder: new, or one of the same recipe.
        jobs: shards made at the same time. Changes no result.
        progress: told how many shards are done, and of how many.

    Returns:
        The manifest.

    Raises:
        MissingError, InputError: the material is missing, damaged, empty or silent.
        OutputError: the folder cannot be written or holds other data.
    """
    settings: SongConfig | CropConfig = recipe.songs if recipe.kind == "songs" else recipe.crops
    described = {"kind": recipe.kind, **asdict(settings)}
    mark = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
    make_folder(folder)
    if isinstance(settings, CropConfig):
        shards = write_crops(settings, folder, mark, progress)
    else:
        shards = _render(settings, folder, mark, jobs, progress)
    return write_manifest(folder, described, shards)


def _render(config: SongConfig, folder: Path, mark: str, jobs: int, progress: Progress) -> list[dict[str, Any]]:
    """All shards of songs, those that are missing in child processes, which a damaged soundfont may kill."""
    for corpus in config.corpora:
        if not tunes.names(corpus, config.split):
            raise InputError("CORPUS_EMPTY", f"{corpus} has no {config.split} pieces.", "Take another split.")
    total = -(-config.count // config.per_shard)
    found = {n: finished(folder, n, mark) for n in range(total)}
    missing = [n for n, shard in found.items() if shard is None]
    done = total - len(missing)
    progress(done, total)
    make = partial(render_shard, config, folder, mark)
    try:
        with ProcessPoolExecutor(max(1, jobs), mp_context=get_context("spawn")) as pool:
            for number, shard in zip(missing, pool.map(make, missing), strict=True):
                found[number] = shard
                done += 1
                progress(done, total)
    except BrokenProcessPool as cause:
        raise ContrafactError(
            "RENDER_FAILED", "A process that renders songs died.", "Check memory and soundfont; repeat to go on."
        ) from cause
    return [shard for shard in found.values() if shard is not None]


def render_shard(config: SongConfig, folder: Path, mark: str, number: int) -> dict[str, Any]:
    """One shard of songs; errors as in `prepare`."""
    first = number * config.per_shard
    indices = range(first, min(first + config.per_shard, config.count))
    return write_shard(folder, number, mark, config.sample_rate, _songs(config, indices))


def _songs(config: SongConfig, indices: range) -> Iterator[Item | Dropped]:
    for index in indices:
        yield make_song(config, index)


@lru_cache(maxsize=4)
def _names(corpus: tunes.Corpus, split: Split) -> tuple[str, ...]:
    return tunes.names(corpus, split)


def choose_tune(config: SongConfig, index: int) -> tuple[tunes.Corpus, str]:
    """Corpus and piece of a song: corpora in turn, the pieces of each in shuffled rounds."""
    corpus = config.corpora[index % len(config.corpora)]
    turn, names = index // len(config.corpora), _names(corpus, config.split)
    order = np.random.default_rng([config.seed, turn // len(names)]).permutation(len(names))
    return corpus, names[int(order[turn % len(names)])]


def make_song(config: SongConfig, index: int) -> Item | Dropped:
    """Song ``index`` of the recipe: the same whatever was made before it."""
    corpus, name = choose_tune(config, index)
    facts: dict[str, Any] = {"index": index, "corpus": corpus, "name": name}
    rng = np.random.default_rng([config.seed, index, 7])
    try:
        tune = tunes.read(corpus, name)
        production = draw(config.production, rng, tune.swings)
        arrangement = maker.arrange(tune, production, config.split)
        excerpt = _excerpt(arrangement.sheet.duration_s, config.excerpt_s, rng)
        song = maker.record(arrangement, config.sample_rate, excerpt)
    except InputError as error:
        if error.code not in ("CORPUS_UNUSABLE", "DATA_SILENT"):
            raise
        return Dropped({**facts, "why": error.sentence}, "silent" if error.code == "DATA_SILENT" else "unusable")
    if not np.isfinite(song.mix).all():
        return Dropped(facts, "not finite")
    facts |= {"excerpt_s": excerpt, "metre": arrangement.sheet.metre, "key": arrangement.sheet.key}
    facts["production"] = asdict(production)
    return Item(facts, song.mix, song.stems if config.stems else {}, song.truth.arrays())


def _excerpt(duration_s: float, length_s: float, rng: np.random.Generator) -> tuple[float, float] | None:
    if not length_s or duration_s <= length_s:
        return None
    start = round(float(rng.uniform(0, duration_s - length_s)), 3)
    return start, start + length_s
