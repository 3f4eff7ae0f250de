"""Random crops of recordings as a student project of 2020 made them: edges dropped, silence dropped and counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contrafact.audio import Audio
from contrafact.data.layouts import Layout, Sound, Track, read, tracks
from contrafact.data.shards import Dropped, Item, finished, write_shard
from contrafact.errors import InputError, SettingsError

Separate = Callable[[Audio], dict[str, Audio]]
BLOCK_S = 0.05
REFUSED = {"INPUT_SILENT": "silent", "INPUT_TOO_SHORT": "short"}  # whole files that the decoder turns away


@dataclass(frozen=True)
class Source:
    """A collection to take crops from.

    Attributes:
        layout: how its folder is laid out.
        folder: where it is.
        split: only tracks of this split; all where empty.
        genre: only tracks of this genre; all where empty.
    """

    layout: Layout
    folder: str
    split: str = ""
    genre: str = ""


@dataclass(frozen=True)
class CropConfig:
    """Crops of recordings.

    Attributes:
        sources: collections, mixed and shuffled.
        seed: of order and places.
        drop_s: left out at the beginning and the end of each track.
        crop_s: length of a crop.
        crops: of each track.
        sample_rate: Hz.
        stem: what is kept: "mix", or a stem that the layout or the separator has.
        separator: name of an entry of the family that takes the mix apart; "" for none.
        silence_db: a crop whose loudest 50 ms stay below this level (full scale 0) is silent.
        per_shard: tracks in a shard.
    """

    sources: tuple[Source, ...] = ()
    seed: int = 0
    drop_s: float = 10.0
    crop_s: float = 10.0
    crops: int = 20
    sample_rate: int = 22_050
    stem: str = "mix"
    separator: str = ""
    silence_db: float = -50.0
    per_shard: int = 8

    def __post_init__(self) -> None:
        if self.drop_s < 0 or self.crop_s <= 0:
            raise ValueError("drop_s must be 0 or more, crop_s positive")
        if self.crops < 1 or self.per_shard < 1:
            raise ValueError("crops and per_shard must be 1 or more")
        if not 8_000 <= self.sample_rate <= 96_000:
            raise ValueError(f"sample_rate is {self.sample_rate}, but must lie in 8000..96000")
        if self.separator and self.stem == "mix":
            raise ValueError("a separator needs the name of a stem to keep")


def write_crops(
    config: CropConfig,
    folder: Path,
    mark: str,
    progress: Callable[[int, int], None],
    separate: Separate | None = None,
) -> list[dict[str, Any]]:
    """Write the shards that are missing and return the JSON of all.

    Args:
        config: what to take.
        folder: where shards go.
        mark: tells these data from others.
        progress: told how many shards are done, and of how many.
        separate: takes a mix apart (default: the separator that ``config`` names).

    Raises:
        SettingsError: no source is named, or there is no such separator.
        InputError: as `layouts.tracks`; DATA_EMPTY, no track is of the wanted split and genre.
        OutputError: the folder cannot be written.
    """
    separate = separate or _separator(config.separator)
    found = shuffled_tracks(config)
    total = -(-len(found) // config.per_shard)
    shards = []
    for number in range(total):
        progress(number, total)
        some = found[number * config.per_shard : (number + 1) * config.per_shard]
        shards.append(
            finished(folder, number, mark)
            or write_shard(folder, number, mark, config.sample_rate, _items(some, config, separate))
        )
    progress(total, total)
    return shards


def shuffled_tracks(config: CropConfig) -> list[tuple[Source, Track]]:
    """The tracks of all sources in an order that the seed gives; errors as in `write_crops`."""
    if not config.sources:
        raise SettingsError("SETTING_MISSING", "No source of recordings is named.", "Set crops.sources.")
    found = [
        (source, track)
        for source in config.sources
        for track in tracks(source.layout, Path(source.folder))
        if source.split in ("", track.split) and source.genre in ("", track.genre)
    ]
    if not found:
        raise InputError("DATA_EMPTY", "No track is of the wanted split and genre.", "Correct crops.sources.")
    return [found[i] for i in np.random.default_rng(config.seed).permutation(len(found))]


def _items(some: list[tuple[Source, Track]], config: CropConfig, separate: Separate | None) -> Iterator[Item | Dropped]:
    for source, track in some:
        facts = {"layout": source.layout, "name": track.name, "genre": track.genre, "split": track.split}
        try:
            sound = _sound(track, config, separate)
        except InputError as error:
            reason = REFUSED.get(error.code, "unreadable")
            yield Dropped({**facts, "code": error.code, "why": error.sentence}, reason)
            continue
        yield from crops_of(sound, facts, config)


def _sound(track: Track, config: CropConfig, separate: Separate | None) -> Sound:
    if separate is None:
        return read(track, config.sample_rate, config.stem)
    mix = Audio(read(track, config.sample_rate)[np.newaxis], config.sample_rate)
    stems = separate(mix)
    if config.stem not in stems:
        raise SettingsError("SETTING_VALUE", f"The separator gives no stem {config.stem!r}.", f"Known: {list(stems)}.")
    return np.asarray(stems[config.stem].samples.mean(axis=0), dtype=np.float32)


def crops_of(sound: Sound, facts: dict[str, Any], config: CropConfig) -> Iterator[Item | Dropped]:
    """Crops of one track, in order of time; silent ones are told, not kept.

    Args:
        sound: (time,).
        facts: of the track; its name decides the places, together with the seed.
        config: how many, how long.
    """
    size, edge = round(config.crop_s * config.sample_rate), round(config.drop_s * config.sample_rate)
    room = len(sound) - 2 * edge - size
    if room < 0:
        yield Dropped({**facts, "seconds": round(len(sound) / config.sample_rate, 3)}, "short")
        return
    if not np.isfinite(sound).all():
        yield Dropped({**facts, "seconds": round(len(sound) / config.sample_rate, 3)}, "not finite")
        return
    key = int.from_bytes(hashlib.sha256(f"{facts['layout']}/{facts['name']}".encode()).digest()[:8])
    places = np.sort(np.random.default_rng([config.seed, key]).integers(0, room + 1, config.crops))
    for place in (edge + places).tolist():
        crop = sound[place : place + size]
        here = {**facts, "from_s": round(place / config.sample_rate, 4)}
        if level_db(crop, config.sample_rate) < config.silence_db:
            yield Dropped({**here, "seconds": config.crop_s}, "silent")
        else:
            yield Item(here, np.clip(crop, -1, 1))


def level_db(sound: Sound, sample_rate: int) -> float:
    """Power of the loudest 50 ms against full scale, in dB; -200 for digital silence."""
    size = max(1, round(BLOCK_S * sample_rate))
    blocks = np.square(sound[: len(sound) // size * size].reshape(-1, size)).mean(axis=1)
    return float(10 * np.log10(max(float(blocks.max(initial=0.0)), 1e-20)))


def _separator(name: str) -> Separate | None:
    """The entry of the separators' family; the family may have none yet."""
    if not name:
        return None
    from contrafact import registry

    family = registry.FAMILIES.get("separators")
    if family is None:
        raise SettingsError("SETTING_VALUE", f"There is no separator {name!r}.", "Leave crops.separator out.")
    separate: Separate = family.build(name)
    return separate
