"""Trained weights that come with the package: an ONNX or safetensors file each, with a card of the same name.

A card (JSON) tells the method and its settings, the recipe, what was learned from, the licence, the measured figures
and the file's hash; only a file with that hash is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from contrafact.config import did_you_mean, from_mapping
from contrafact.errors import MissingError, SettingsError
from contrafact.runtime import open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

T = TypeVar("T")
FOLDER = Path(__file__).parent
_noting: list[dict[str, str]] = []


@dataclass(frozen=True)
class WeightsCard:
    """What a reader must know before using weights.

    Attributes:
        name: also of the card's file.
        file: name of the weights beside the card.
        sha256: of that file.
        method: family and entry, such as "vocoders/vocos".
        config: the method's settings that fit the weights.
        recipe: the experiment, with all its settings; it ends with the steps that were done.
        step: training steps done.
        parameters: numbers learned.
        trained_on: the material.
        license: of the weights.
        storage: "float32" or "float16"; computed in float32 either way.
        largest_difference: between the exported network and torch, relative to the output's largest value above 1.
        inputs, outputs: names and shapes; free dimensions have names.
        metrics: measured figures, with the command that measures them.
        versions: of the packages it was made with.
    """

    name: str
    file: str
    sha256: str
    method: str
    config: dict[str, Any]
    recipe: dict[str, Any]
    step: int
    parameters: int
    trained_on: str
    license: str
    storage: str
    largest_difference: float
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    metrics: dict[str, Any]
    versions: dict[str, str]


def names(method: str = "", folder: Path = FOLDER) -> list[str]:
    """Sorted names of all weights, or of those of one method."""
    found = sorted(path.stem for path in folder.glob("*.json"))
    return [name for name in found if method in ("", card(name, folder).method)]


def card(name: str, folder: Path = FOLDER) -> WeightsCard:
    """The card of some weights.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN, with the nearest name.
        MissingError: WEIGHTS_DAMAGED, the card cannot be read.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.json"))
        raise SettingsError("WEIGHTS_UNKNOWN", f"There are no weights named {name!r}.", did_you_mean(name, known))
    return read_card(path)


def read_card(path: Path) -> WeightsCard:
    """A card's file.

    Raises:
        MissingError: WEIGHTS_DAMAGED.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        return WeightsCard(**{f.name: values[f.name] for f in fields(WeightsCard)})
    except (ValueError, KeyError, TypeError, OSError) as cause:
        raise MissingError(
            "WEIGHTS_DAMAGED", f"The card {path} is damaged: {cause}.", "Install Contrafact again."
        ) from cause


def place(name_or_file: str) -> tuple[str, Path]:
    """Name and folder of weights that come along, or of an ONNX file that is given with its path."""
    path = Path(name_or_file).expanduser()
    return (path.stem, path.parent) if path.suffix == ".onnx" else (name_or_file, FOLDER)


def locate(name: str, folder: Path = FOLDER) -> Path:
    """Path of the weights, verified.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: WEIGHTS_MISSING, or WEIGHTS_CHANGED where the file is not the one of the card.
    """
    known = card(name, folder)
    path = folder / known.file
    if not path.is_file():
        raise MissingError("WEIGHTS_MISSING", f"The weights {path} are not there.", "Install Contrafact again.")
    if _digest(path, path.stat().st_mtime_ns, path.stat().st_size) != known.sha256:
        raise MissingError(
            "WEIGHTS_CHANGED", f"The weights {path} are not those of their card.", "Install Contrafact again."
        )
    for found in _noting:
        found[name] = known.sha256
    return path


@contextmanager
def noted() -> Iterator[dict[str, str]]:
    """Fills with name and SHA-256 of all weights that are located inside the block."""
    found: dict[str, str] = {}
    _noting.append(found)
    try:
        yield found
    finally:
        _noting.pop()


def find(name: str) -> Path:
    """Path of weights that come along, by their name, or of an ONNX file beside its card; errors as `locate`."""
    return locate(*place(name))


def open_network(name_or_file: str, kind: type[T], threads: int = 1) -> tuple[InferenceSession, T]:
    """The network of `find`, and the method's settings that fit it.

    Args:
        name_or_file: weights that come along, or an ONNX file beside its card.
        kind: the method's dataclass of settings.
        threads: of the network.

    Raises:
        SettingsError, MissingError: as `locate`; SettingsError too where the card's settings are not of this method.
    """
    name, folder = place(name_or_file)
    settings = from_mapping(kind, card(name, folder).config, name)
    return open_session(locate(name, folder), threads), settings


def open_fitting(name_or_file: str, *columns: int) -> InferenceSession:
    """The network of `find`, opened once, whose first inputs must have so many columns.

    Raises:
        SettingsError, MissingError: as `locate`; MissingError WEIGHTS_OTHER too, of another network.
    """
    path = find(name_or_file)
    session = _session(path)
    if [given.shape[1] for given in session.get_inputs()[: len(columns)]] != [*columns]:
        raise MissingError(
            "WEIGHTS_OTHER", f"The weights {path} were trained for other categories.", "Train them again, or update."
        )
    return session


@lru_cache(maxsize=16)
def _session(path: Path) -> InferenceSession:
    return open_session(path)


@lru_cache(maxsize=32)
def _digest(path: Path, changed_ns: int, size: int) -> str:
    """Read once for each state of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
