"""Shards: many songs or crops in few files, made one by one, so that making them can be stopped and repeated.

A shard ``00003`` is up to four files: ``.audio.npy`` (all mixes one after the other, 16 bit), ``.stems.npy`` if wanted,
``.arrays.npz`` (truth, if there is any) and, written last, ``.json`` with what each item is, where it lies, what was
dropped and why, and the hashes of the others. A shard without its JSON does not exist.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data.effects import to_int16
from contrafact.errors import InputError, OutputError
from contrafact.files import output_error, write_bytes, write_text

MANIFEST = "manifest.json"
FORMAT = "contrafact-shards-1"


@dataclass(frozen=True)
class Item:
    """One song or crop.

    Attributes:
        facts: what it is, as JSON values.
        audio: (time,) float32, full scale ±1.
        stems: the same length; every item of a shard has the same ones, silent where an item has none.
        arrays: truth by name.
    """

    facts: dict[str, Any]
    audio: NDArray[np.float32]
    stems: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Dropped:
    """Something that did not become an item, and why: a word that is counted, "silent"."""

    facts: dict[str, Any]
    reason: str


def write_shard(
    folder: Path, number: int, recipe: str, sample_rate: int, items: Iterable[Item | Dropped]
) -> dict[str, Any]:
    """Write a shard and return its JSON.

    Raises:
        OutputError: the folder cannot be written, or its disk is full; the shard does not exist then.
    """
    kept, dropped = [], []
    for item in items:
        if isinstance(item, Item):
            kept.append(_Packed.of(item))
        else:
            dropped.append({**item.facts, "reason": item.reason})
    ends = np.cumsum([len(i.audio) for i in kept]).tolist()
    stems = sorted({name for i in kept for name in i.stems})
    files = {f"{number:05}.audio.npy": _npy(np.concatenate([np.zeros(0, np.int16), *(i.audio for i in kept)]))}
    if stems:
        files[f"{number:05}.stems.npy"] = _npy(np.concatenate([_stack(i, stems) for i in kept], axis=1))
    arrays = {f"{k}/{name}": a for k, i in enumerate(kept) for name, a in i.arrays.items()}
    if arrays:
        files[f"{number:05}.arrays.npz"] = _npz(arrays)
    for name, data in files.items():
        write_bytes(folder / name, data)
    facts = [{**i.facts, "start": end - len(i.audio), "end": end} for i, end in zip(kept, ends, strict=True)]
    description = {
        "format": FORMAT,
        "recipe": recipe,
        "sample_rate": sample_rate,
        "stems": stems,
        "items": facts,
        "dropped": dropped,
        "files": {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()},
    }
    write_text(_json_path(folder, number), json.dumps(description, indent=1) + "\n")
    return description


@dataclass(frozen=True)
class _Packed:
    """An item as it is stored."""

    facts: dict[str, Any]
    audio: NDArray[np.int16]
    stems: dict[str, NDArray[np.int16]]
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, item: Item) -> _Packed:
        stems = {name: to_int16(sound) for name, sound in item.stems.items()}
        return cls(item.facts, to_int16(item.audio), stems, item.arrays)


def _stack(item: _Packed, stems: list[str]) -> NDArray[np.int16]:
    silence = np.zeros(len(item.audio), np.int16)
    return np.stack([item.stems.get(name, silence) for name in stems])


def _npy(array: NDArray[Any]) -> bytes:
    with io.BytesIO() as file:
        np.save(file, array, allow_pickle=False)
        return file.getvalue()


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Members carry no date, so that equal arrays give equal bytes."""
    with io.BytesIO() as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()


def _json_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.json"


def finished(folder: Path, number: int, recipe: str) -> dict[str, Any] | None:
    """The JSON of a shard that is complete; None where it is to be made (again).

    Raises:
        OutputError: OUTPUT_OTHER_DATA, the shard was made by another recipe.
    """
    try:
        found: dict[str, Any] = json.loads(_json_path(folder, number).read_text("utf-8"))
        whole = all((folder / n).stat().st_size == f["bytes"] for n, f in found["files"].items())
        other = found["recipe"] != recipe
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if other:
        raise OutputError(
            "OUTPUT_OTHER_DATA", f"{folder} holds data of another recipe.", "Choose another folder with -o."
        )
    return found if whole else None


def make_folder(folder: Path) -> None:
    """Make a folder with its parents.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise output_error(folder, cause) from cause


def write_manifest(folder: Path, recipe: Mapping[str, Any], shards: list[dict[str, Any]]) -> dict[str, Any]:
    """Write ``manifest.json``: the recipe, how much there is, and how much was dropped for which reason.

    Raises:
        InputError: DATA_EMPTY, nothing was kept; the manifest is written all the same, since it tells why.
    """
    rate = shards[0]["sample_rate"] if shards else 0
    kept = [i for s in shards for i in s["items"]]
    dropped = [d for s in shards for d in s["dropped"]]
    reasons = Counter(d["reason"] for d in dropped)
    manifest = {
        "format": FORMAT,
        "recipe": dict(recipe),
        "sample_rate": rate,
        "shards": len(shards),
        "items": len(kept),
        "minutes": round(sum(i["end"] - i["start"] for i in kept) / max(rate, 1) / 60, 3),
        "dropped": {
            reason: {
                "items": count,
                "minutes": round(sum(d.get("seconds", 0.0) for d in dropped if d["reason"] == reason) / 60, 3),
            }
            for reason, count in sorted(reasons.items())
        },
    }
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    if not kept:
        why = ", ".join(f"{reason} {count} times" for reason, count in reasons.items()) or "there was none"
        raise InputError("DATA_EMPTY", f"No material is left ({why}).", f"See {folder / MANIFEST}.")
    return manifest


class Shards:
    """Reads a folder of finished shards; items are numbered through.

    Args:
        folder: with ``manifest.json``.

    Raises:
        InputError: DATA_MISSING, there is no finished data; DATA_DAMAGED, a file is missing or cut short.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            count = int(self.manifest["shards"])
        except (OSError, ValueError, KeyError, TypeError) as cause:
            raise InputError(
                "DATA_MISSING", f"{folder} holds no finished data.", "Make it with contrafact prepare."
            ) from cause
        self.sample_rate = int(self.manifest["sample_rate"])
        self._folder, self._entries = folder, []
        for number in range(count):
            found = self._description(number)
            self._entries += [(number, k, entry, found["stems"]) for k, entry in enumerate(found["items"])]
        self._open: dict[str, Any] = {}

    def _description(self, number: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(_json_path(self._folder, number).read_text("utf-8"))
            whole = all((self._folder / n).stat().st_size == f["bytes"] for n, f in found["files"].items())
        except (OSError, ValueError, KeyError) as cause:
            raise self._damaged(number) from cause
        if not whole:
            raise self._damaged(number)
        return found

    def _damaged(self, number: int) -> InputError:
        return InputError(
            "DATA_DAMAGED", f"Shard {number:05} in {self._folder} is not whole.", "Run contrafact prepare again."
        )

    def __len__(self) -> int:
        return len(self._entries)

    def facts(self, index: int) -> dict[str, Any]:
        """What the item is; "start" and "end" are samples within its shard."""
        return dict(self._entries[index][2])

    def samples(self, index: int) -> int:
        """Length of the item."""
        return int(self._entries[index][2]["end"] - self._entries[index][2]["start"])

    def audio(self, index: int, start: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """Samples of the item's mix from ``start`` on; only these are read from the disk."""
        number, _, entry, _ = self._entries[index]
        part = self._mapped(f"{number:05}.audio.npy")[_span(entry, start, count)]
        return np.asarray(part, dtype=np.float32) / np.float32(32767)

    def stem_names(self, index: int) -> tuple[str, ...]:
        """Names of the item's stems in the order in which they are stored."""
        return tuple(self._entries[index][3])

    def recorded(self, index: int, start: int = 0, count: int | None = None) -> NDArray[np.int16]:
        """Samples of the item's mix and stems as they are stored, (1 + stems, time)."""
        number, _, entry, names = self._entries[index]
        mix = self._mapped(f"{number:05}.audio.npy")[None, _span(entry, start, count)]
        stems = self._mapped(f"{number:05}.stems.npy")[:, _span(entry, start, count)] if names else mix[:0]
        return np.concatenate([mix, stems])

    def stems(self, index: int, start: int = 0, count: int | None = None) -> dict[str, NDArray[np.float32]]:
        """Samples of the item's stems; empty where the shards have none."""
        number, _, entry, names = self._entries[index]
        if not names:
            return {}
        part = self._mapped(f"{number:05}.stems.npy")[:, _span(entry, start, count)]
        return dict(zip(names, np.asarray(part, dtype=np.float32) / np.float32(32767), strict=True))

    def arrays(self, index: int) -> dict[str, NDArray[Any]]:
        """The item's truth, as `truth.Truth.of_arrays` takes it; empty where the shards have none."""
        number, k, _, _ = self._entries[index]
        path = self._folder / f"{number:05}.arrays.npz"
        if not path.exists():
            return {}
        if path.name not in self._open:
            self._open[path.name] = np.load(path, allow_pickle=False)
        stored = self._open[path.name]
        prefix = f"{k}/"
        return {name.removeprefix(prefix): stored[name] for name in stored.files if name.startswith(prefix)}

    def _mapped(self, name: str) -> NDArray[np.int16]:
        if name not in self._open:
            self._open[name] = np.load(self._folder / name, mmap_mode="r", allow_pickle=False)
        mapped: NDArray[np.int16] = self._open[name]
        return mapped


def _span(entry: Mapping[str, int], start: int, count: int | None) -> slice:
    begin = entry["start"] + start
    return slice(begin, entry["end"] if count is None else min(entry["end"], begin + count))
