"""Sound, and the same sound through vocos, to learn the difference from.

``python -m contrafact.vocoders.polished.pairs SOUNDS -o DIR [--crops 3000] [--jobs 1]``

SOUNDS is a folder of ``contrafact prepare records``; crops of it are augmented as for vocos itself. DIR holds shards
whose items are the sound, with what vocos makes of its mel spectrogram as their stem.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from contrafact.data.shards import Item, make_folder, write_manifest, write_shard
from contrafact.data.sounds import Sounds
from contrafact.vocoders import vocos
from contrafact.vocoders.polished import Config
from contrafact.vocoders.vocos._augment import augmented

ROUGH = "rough"
FRAMES = 172  # of a crop: two seconds
CROPS_A_SHARD = 100
HELD_OUT = 8  # items at the end of the folder of sound, as vocos holds them out


def make(sounds: Path, folder: Path, crops: int, jobs: int = 1) -> None:
    """Write pairs.

    Args:
        sounds: prepared sound.
        folder: to write to.
        crops: how many.
        jobs: shards made at the same time. Changes no result.

    Raises:
        InputError: ``sounds`` holds no finished data, or at another rate.
        OutputError: ``folder`` cannot be written.
    """
    make_folder(folder)
    counts = [min(CROPS_A_SHARD, crops - first) for first in range(0, crops, CROPS_A_SHARD)]
    work = partial(_shard, sounds, folder)
    if jobs == 1:
        shards = [work(number, count) for number, count in enumerate(counts)]
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            shards = list(pool.map(work, range(len(counts)), counts))
    write_manifest(folder, {"kind": "pairs", "crops": crops}, shards)


def _shard(sounds: Path, folder: Path, number: int, count: int) -> dict[str, Any]:
    rough = Config().rough
    source, mel = Sounds(str(sounds), rough.sample_rate, HELD_OUT), rough.mel
    vocoder = vocos.build(replace(rough, threads=1))

    def items() -> Iterator[Item]:
        for crop in range(count):
            draw = np.random.default_rng((number, crop))
            wave = augmented(source.crop(draw, FRAMES * rough.hop_samples), draw)
            log_mel = mel.forward(wave)[:, :FRAMES].astype(np.float32)
            yield Item({}, wave, {ROUGH: vocoder(log_mel[None])[0]})

    return write_shard(folder, number, "pairs", rough.sample_rate, items())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    make(options.sounds, options.out, options.crops, options.jobs)


if __name__ == "__main__":
    main()
