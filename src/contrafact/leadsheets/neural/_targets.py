"""What the network should answer to an excerpt, from what is true of its song."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from contrafact.data.truth import PARTS, Truth, rolls
from contrafact.leadsheets.neural._labels import BASSES, NO_CHORD, NOTES, REST, UNKNOWN, labels_of
from contrafact.leadsheets.neural._remix import Take
from contrafact.leadsheets.neural._spectra import FRAME_RATE, frame_count

PITCHED = PARTS[:3]  # whose notes are told


@dataclass(frozen=True)
class Item:
    """What is true of an excerpt.

    Attributes:
        stems: names of its stems.
        key: class of the key, or `UNKNOWN`.
        labels: by the names of `_labels.Labels`, (frames, ...); of notes and onsets, bit k stands for ``PITCHED[k]``.
    """

    stems: tuple[str, ...]
    key: int
    labels: dict[str, Tensor]


def item_of(truth: Truth, stems: tuple[str, ...], samples: int) -> Item:
    """The truth of an excerpt of ``samples`` samples, with these stems."""
    count = frame_count(samples)
    found = labels_of(truth, count)
    bits = np.zeros((2, count, NOTES), np.uint8)
    for k, part in enumerate(PITCHED):
        of_part = truth.notes[truth.notes[:, 3] == PARTS.index(part)]
        bits |= np.stack(rolls(of_part, FRAME_RATE, count)) * np.uint8(1 << k)
    arrays = {
        "strokes": found.strokes,
        "chord": found.chord,
        "bass": found.bass,
        "melody": found.melody,
        "melody_off": found.melody_off,
        "notes": bits[0],
        "onsets": bits[1],
    }
    return Item(stems, int(found.key), {name: torch.from_numpy(values) for name, values in arrays.items()})


def target(item: Item, take: Take, start: int, shift: int, frames: int) -> dict[str, Tensor]:
    """The labels of ``frames`` frames from ``start`` on, as batches name them: ``shift`` semitones higher, without the
    parts that the take silences, padded behind the excerpt's end."""
    there = {name: values[start : start + frames] for name, values in item.labels.items()}
    sounding = [k for k, part in enumerate(PITCHED) if not item.stems or take.has(item.stems, part)]
    chord, bass, melody, strokes = (there[name] for name in ("chord", "bass", "melody", "strokes"))
    key = item.key if item.key == UNKNOWN else 12 * (item.key // 12) + (item.key + shift) % 12
    found = {
        "strokes": strokes,
        "chord": torch.where(chord == NO_CHORD, NO_CHORD, 12 * (chord // 12) + (chord + shift) % 12),
        "bass": torch.where(bass == BASSES - 1, BASSES - 1, (bass + shift) % 12),
        "key": torch.full_like(chord, key),
        "melody": torch.where((melody == REST) | (melody + shift < 0) | (melody + shift >= REST), REST, melody + shift),
        "melody_off": there["melody_off"],
    }
    if PITCHED.index("melody") not in sounding:
        found["melody"] = torch.full_like(melody, REST)
        found["strokes"] = strokes * torch.tensor([1.0, 1.0, 0.0])
    if PITCHED.index("harmony") not in sounding:
        found["chord"] = torch.full_like(chord, UNKNOWN)
    if PITCHED.index("bass") not in sounding:
        found["bass"] = torch.full_like(bass, UNKNOWN)
    heard = sum(1 << k for k in sounding)
    for name in ("notes", "onsets"):
        roll = ((there[name] & heard) > 0).float().roll(shift, dims=1)
        roll[:, : max(0, shift)] = 0
        roll[:, NOTES + min(0, shift) :] = 0
        found[name] = roll
    missing = frames - len(chord)
    unknown = {"chord": UNKNOWN, "bass": UNKNOWN, "key": UNKNOWN, "melody": UNKNOWN}
    return {
        name: functional.pad(v, (0, 0) * (v.ndim - 1) + (0, missing), value=unknown.get(name, 0))
        for name, v in found.items()
    }
