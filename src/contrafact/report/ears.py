"""Hears a finished mix while it is written, so that its files need not be decoded again."""

from __future__ import annotations

from collections.abc import Iterable

from contrafact.audio import Audio, MonoTake
from contrafact.mixer import Listener
from contrafact.report.page import PageSound
from contrafact.writer import Samples


class Ears:
    """The cover in mono for figures and pictures; cover and stems compressed for the page.

    Args:
        parts: names of the stems.
        source_rate: of the mix, Hz.
        frames: of the mix.
        sample_rate: of the cover in mono, Hz.
        embedded: whether the page carries the sounds.
    """

    def __init__(self, parts: Iterable[str], source_rate: int, frames: int, sample_rate: int, embedded: bool) -> None:
        names: list[str | None] = [None, *parts] if embedded else []
        self._sounds = {name: PageSound(source_rate, mono=name is not None) for name in names}
        self._cover = MonoTake(source_rate, sample_rate, frames)

    @property
    def listeners(self) -> dict[str | None, Listener]:
        """For `mixer.mix`."""
        return {**{name: sound.push for name, sound in self._sounds.items()}, None: self._hear_cover}

    def _hear_cover(self, block: Samples) -> None:
        self._cover.push(block)
        if None in self._sounds:
            self._sounds[None].push(block)

    def cover(self) -> Audio:
        """The cover in mono, once it is written."""
        return self._cover.finish()

    def sounds(self) -> dict[str | None, str]:
        """Data URIs of the cover (None) and the stems, once they are written; empty where they are not embedded."""
        return {name: sound.uri() for name, sound in self._sounds.items()}
