"""A page to listen to: seconds of real songs, and what each transform and vocoder makes of them.

    python benchmarks/listening.py -o FOLDER [--songs 6] [SONG...]

Without songs of your own, so many are taken from CONTRAFACT_DATA. Writes ``listening.html``, one file with all sounds,
whose ways play from the same place at the same loudness, and ``reconstructions.png``, the spectrograms of the second
song. Figures under each way are those of `metrics.sound`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp.cqt import ConstantQ
from contrafact.dsp.loudness import integrated_loudness
from contrafact.files import write_text, writing
from contrafact.metrics.sound import evaluate
from contrafact.registry import VOCODERS
from contrafact.report import page, pictures
from contrafact.representation import Representation
from vocoder import excerpt, songs

Floats = NDArray[np.float32]
Way = Callable[[Floats], Floats]
SAMPLE_RATE = 22_050
MEL = Representation("mel", SAMPLE_RATE, 256, 100)
STFT = Representation("stft", SAMPLE_RATE, 256, 513, "magnitude", window_samples=1024)
CQT = Representation("cqt", SAMPLE_RATE, 512, 84, low_hz=32.703)
TEMPLATE = Path(__file__).with_suffix(".html")


def ways() -> dict[str, Way]:
    """What is done to a song (time,), by name; results may be a little longer or shorter."""

    def vocoded(name: str, kind: Representation, **settings: Any) -> Way:
        vocode = VOCODERS.build(name, **settings)
        return lambda samples: np.asarray(vocode(kind.features(samples)[None].astype(np.float32))[0])

    mapped = {kind: kind.to_mapping() for kind in (MEL, STFT, CQT)}
    cqt = ConstantQ(SAMPLE_RATE, 32.703, 84, 12)
    return {
        "original": lambda samples: samples,
        "constant-Q and back": lambda samples: np.asarray(cqt.inverse(cqt.forward(samples), len(samples))),
        "STFT, Griffin-Lim": vocoded("griffin_lim", STFT, representation=mapped[STFT]),
        "STFT, deep Griffin-Lim": vocoded("deep_griffin_lim", STFT, representation=mapped[STFT]),
        "100 mels, Griffin-Lim": vocoded("griffin_lim", MEL, representation=mapped[MEL]),
        "100 mels, vocos": vocoded("vocos", MEL),
        "84-bin constant-Q image, Griffin-Lim": vocoded("griffin_lim", CQT, representation=mapped[CQT]),
    }


def heard(name: str, made: Floats, original: Floats) -> dict[str, Any]:
    """A way's sound, picture and words for the page."""
    count = min(len(made), len(original))
    audio = Audio(np.asarray(made[None, :count], dtype=np.float32), SAMPLE_RATE)
    sound = page.PageSound(SAMPLE_RATE, mono=True)
    sound.push(audio.samples)
    figures = asdict(evaluate(original[:count], made[:count], SAMPLE_RATE)) if name != "original" else {}
    words = ", ".join(f"{key.replace('_', ' ')} {value:.2f}" for key, value in figures.items())
    loud = integrated_loudness([audio.samples], SAMPLE_RATE)
    return {
        "name": name,
        "sound": sound.uri(),
        "picture": pictures.spectrogram(audio),
        "words": words or "as recorded",
        "lufs": loud,
    }


def main() -> None:
    """Write the page and the picture; print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("song", type=Path, nargs="*")
    options = parser.parse_args()
    every = list(songs(SAMPLE_RATE)) if not options.song else []
    material = [(path.name, excerpt(path, SAMPLE_RATE)) for path in options.song]
    material += every[:: max(1, -(-len(every) // options.songs))]
    if not material:
        parser.error("name songs, or the folder of real music in CONTRAFACT_DATA")
    options.out.mkdir(parents=True, exist_ok=True)
    found = []
    for name, samples in material:
        rows = [heard(way, make(samples), samples) for way, make in ways().items()]
        quietest = min(row["lufs"] for row in rows)
        for row in rows:
            row["volume"] = round(min(1.0, 10 ** ((quietest - row.pop("lufs")) / 20)), 4)
            print(f"{name:50s} {row['name']:38s} {row['words']}", flush=True)
        found.append({"name": name, "ways": rows})
    data = json.dumps(found).replace("<", "\\u003c")
    css = Path(page.__file__).with_name("page.css").read_text("utf-8")
    text = TEMPLATE.read_text("utf-8").replace("/*CSS*/", css).replace("/*DATA*/", data)
    write_text(options.out / "listening.html", text)
    picture(found[min(1, len(found) - 1)], options.out / "reconstructions.png")


def picture(song: dict[str, Any], path: Path) -> None:
    """All spectrograms of a song below each other, named."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(11, 1.9 * len(song["ways"])), layout="constrained")
    for axes, way in zip(figure.subplots(len(song["ways"]), 1), song["ways"], strict=True):
        image = Image.open(io.BytesIO(base64.b64decode(way["picture"].split(",")[1])))
        axes.imshow(image, aspect="auto", extent=(0, 10, 0, 8))
        axes.set_title(f"{way['name']}: {way['words']}", fontsize=9, loc="left")
        axes.set_ylabel("kHz", fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=80)
    with writing(path) as file:
        Image.open(drawn).convert("RGB").quantize(96).save(file, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
