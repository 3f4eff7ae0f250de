"""The neural reader's parts: labels from truth, the network's reshaping, and decoding of activations that say all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from contrafact import weights
from contrafact.config import from_mapping
from contrafact.data.shards import Item, write_manifest, write_shard
from contrafact.data.truth import PARTS, QUALITIES, Truth
from contrafact.errors import InputError, SettingsError
from contrafact.leadsheet import Chord, MelodyNote
from contrafact.leadsheets import mixed, neural
from contrafact.leadsheets._parts.beatwise import Chromas, Landscape, landscape, running
from contrafact.leadsheets._parts.downbeats import Bars
from contrafact.leadsheets._parts.features import FRAME_RATE as CLOCK
from contrafact.leadsheets._parts.features import Features
from contrafact.leadsheets.neural import _harmony, _labels, _listener, _melody, _rhythm, _tempo
from contrafact.leadsheets.neural._labels import LOWEST_MELODY, MELODY_PITCHES, NO_CHORD, REST, labels_of
from contrafact.leadsheets.neural._spectra import BINS, FRAME_RATE, HOP, LOWEST, SEMITONES, frame_count, spectra
from contrafact.registry import LEADSHEETS, TRANSCRIBERS
from contrafact.runtime import open_session
from contrafact.score import Note, Part, Score
from contrafact.training.draws import Draws

UNHEARD = Chromas(np.zeros((10_000, 12)), np.zeros((10_000, 12)))
BEATS_S = np.arange(0.5, 12, 0.5)
PLACES = np.arange(len(BEATS_S)) % 4
ALONE = _harmony.Config()


def truth() -> Truth:
    """Twelve seconds at 120: Am7 and G over B, a melody of one note a second."""
    melody_hz = np.zeros(1201, np.float32)
    notes = []
    for k in range(1, 11):
        pitch = 60 + k
        melody_hz[100 * k : 100 * k + 80] = 440 * 2 ** ((pitch - 69) / 12)
        notes += [(k, k + 0.8, pitch, PARTS.index("melody")), (k, k + 1, 45, PARTS.index("bass"))]
    chords = [(9, QUALITIES.index("min7"), 9), (7, QUALITIES.index("maj"), 11)]
    return Truth(
        beats_s=BEATS_S,
        downbeats_s=BEATS_S[::4],
        chords_s=np.array([[0.5, 6.0], [6.0, 11.0]]),
        chords=np.array(chords, np.int16),
        key=np.array([9, 1], np.int16),
        metre=np.array([4], np.int16),
        melody_hz=melody_hz,
        notes=np.array(notes, np.float64),
    )


COUNT = int(12 * FRAME_RATE)


def test_labels_say_what_is_true_at_each_frame() -> None:
    found = labels_of(truth(), COUNT)
    times = np.arange(COUNT) / FRAME_RATE
    for column, events in ((0, BEATS_S), (1, BEATS_S[::4]), (2, np.arange(1, 11))):
        marked = np.flatnonzero(found.strokes[:, column] == 1)
        assert len(marked) == len(events)
        assert np.abs(times[marked] - events).max() <= 0.5 / FRAME_RATE
    at = [int(t * FRAME_RATE) for t in (3.0, 8.0, 11.5, 0.2)]
    first, second = 12 * (QUALITIES.index("min7") - 1) + 9, 12 * (QUALITIES.index("maj") - 1) + 7
    assert found.chord[at].tolist() == [first, second, NO_CHORD, NO_CHORD]
    assert found.bass[at].tolist() == [9, 11, 12, 12]
    assert found.key == 9 + 12
    assert found.melody[int(4.4 * FRAME_RATE)] == 64 - LOWEST_MELODY
    assert found.melody[int(4.9 * FRAME_RATE)] == REST


STEMS = ("bass", "drums", "harmony", "melody")


def tones() -> np.ndarray:
    """Stems that are tones of 100, 200, 400 and 800 Hz, after their sum: (5, time) int16."""
    t = np.arange(12 * 22_050) / 22_050
    stems = [0.2 * np.sin(2 * np.pi * 100 * 2**k * t) for k in range(4)]
    return np.rint(32767 * np.array([sum(stems), *stems])).astype(np.int16)


def excerpts():
    """The module that makes training examples, which needs torch."""
    return pytest.importorskip("contrafact.leadsheets.neural._excerpts")


def example(module, song: Truth, start: int, shift: int):
    """From ``start`` on, as recorded."""
    sounds = np.pad(tones(), ((0, 0), (module._remix.MARGIN * HOP, 0)))[:, start * HOP :]
    return module.Example(item(module, song), sounds, start, shift, take(module._remix))


def item(module, song: Truth):
    """What is true of the tones."""
    return module.item_of(song, STEMS, tones().shape[1])


def take(remix, gains_db=(0.0, -200.0, -200.0, -200.0, -200.0), **changes):
    plain = {"equalizers_db": np.zeros((5, 7), np.float32), "pressed_db": 0.0, "hissed_db": -200.0, "heard_db": 0.0}
    return remix.Take(np.array(gains_db, np.float32), **{**plain, **changes})


def test_a_transposed_example_is_that_of_the_transposed_song() -> None:
    module = excerpts()
    song = truth()
    up = replace(
        song,
        chords=np.array([[(r + 2) % 12, q, (b + 2) % 12] for r, q, b in song.chords], np.int16),
        key=np.array([11, 1], np.int16),
        melody_hz=(song.melody_hz * 2 ** (2 / 12)).astype(np.float32),
        notes=song.notes + np.array([0, 0, 2, 0]),
    )
    moved = module.examples([example(module, song, 40, 2)], 300, 0, "cpu")
    there = module.examples([example(module, up, 40, 0)], 300, 0, "cpu")
    for name in ("strokes", "chord", "bass", "key", "melody", "notes", "onsets"):
        np.testing.assert_array_equal(moved[name], there[name], err_msg=name)
    np.testing.assert_allclose(moved["melody_off"], there["melody_off"], atol=1e-4)
    np.testing.assert_array_equal(moved["pitch"][..., 6:], there["pitch"][..., :-6])
    assert not moved["pitch"][..., :6].any()


def test_what_lies_beyond_an_excerpt_is_no_target() -> None:
    module = excerpts()
    last = frame_count(tones().shape[1]) - 100
    found = module.examples([example(module, truth(), last, 0)], 300, 0, "cpu")
    assert {len(v[0]) for v in found.values()} == {300}
    for name in ("chord", "bass", "key", "melody"):
        assert (found[name][0, 100:] == _labels.UNKNOWN).all()
    assert found["pitch"][0, :90].max(dim=1).values.min() > 1
    assert found["pitch"][0, 130:].max() < 0.05


def test_an_example_looks_as_the_reader_will_see_it() -> None:
    module = excerpts()
    count = frame_count(tones().shape[1])
    found = module.examples([example(module, truth(), 0, 0)], count, 0, "cpu")
    pitch, mel = spectra(tones()[0] / np.float32(32767))
    np.testing.assert_allclose(found["pitch"][0], pitch, atol=0.02)
    np.testing.assert_allclose(found["mel"][0], mel, atol=0.02)


def levels_db(sound: np.ndarray) -> np.ndarray:
    """Of the four tones in (time,)."""
    t = np.arange(len(sound)) / 22_050
    return np.array(
        [20 * np.log10(2 * abs(np.mean(sound * np.exp(-2j * np.pi * 100 * 2**k * t))) + 1e-9) for k in range(4)]
    )


def test_stems_are_mixed_as_a_take_says() -> None:
    remix = excerpts()._remix
    torch = pytest.importorskip("torch")
    sounds = torch.from_numpy(tones())[None, :, : 8 * 22_050] / 32767
    noise = torch.randn(1, sounds.shape[-1], generator=torch.Generator().manual_seed(0))

    def heard(**changes) -> np.ndarray:
        return remix.mixed(sounds, [take(remix, **changes)], noise)[0].numpy()

    off = remix.SILENT_DB
    whole = levels_db(heard())
    np.testing.assert_allclose(whole - whole[0], 0, atol=0.1)
    found = levels_db(heard(gains_db=(off, 0.0, -6.0, off, 6.0)))
    np.testing.assert_allclose(found[[1, 3]] - found[0], [-6, 6], atol=0.1)
    assert found[2] < found[0] - 60
    curves = np.zeros((5, 7), np.float32)
    curves[1:, 2] = 9.0  # at 400 Hz
    found = levels_db(heard(gains_db=(off, 0.0, 0.0, 0.0, 0.0), equalizers_db=curves))
    assert found[2] - found[0] == pytest.approx(9.0, abs=0.3)
    assert np.abs(heard(pressed_db=12.0)).mean() > 1.3 * np.abs(heard()).mean()
    assert heard(hissed_db=-20.0).std() == pytest.approx(np.hypot(1, 0.1) * heard().std(), rel=0.01)
    louder, plain = (
        remix.images(torch.from_numpy(heard())[None], 60, torch.tensor([gain]))[0].expm1() for gain in (6.0, 0.0)
    )
    np.testing.assert_allclose(louder[plain > 1] / plain[plain > 1], 10 ** (6 / 20), rtol=0.01)


def test_parts_that_are_silent_are_no_targets() -> None:
    module = excerpts()
    off, song = module._remix.SILENT_DB, item(module, truth())

    def target(*gains_db: float) -> dict:
        return module.target(song, take(module._remix, gains_db), 0, 0, COUNT)

    whole, lead, band = target(0, off, off, off, off), target(off, off, off, off, 0), target(off, 0, 0, 0, off)
    assert {name: v.tolist() for name, v in whole.items()} == {
        name: v.tolist() for name, v in target(off, 0, 0, 0, 0).items()
    }
    assert (lead["chord"] == _labels.UNKNOWN).all()
    assert (lead["bass"] == _labels.UNKNOWN).all()
    np.testing.assert_array_equal(lead["melody"], whole["melody"])
    assert lead["notes"][:, 45 - LOWEST].sum() == 0 < lead["notes"].sum()
    assert (band["melody"] == REST).all()
    assert band["strokes"][:, 2].sum() == 0 < band["strokes"][:, 0].sum()
    np.testing.assert_array_equal(band["chord"], whole["chord"])
    assert band["notes"][:, 45 - LOWEST].sum() == band["notes"].sum() > 0


def test_draws_of_mixes_reach_all_that_they_may() -> None:
    remix = excerpts()._remix
    draw = np.random.default_rng(0)
    takes = [remix.draw(draw, STEMS) for _ in range(4000)]
    recorded = np.array([t.gains_db[0] == 0 for t in takes])
    assert recorded.mean() == pytest.approx(remix.AS_RECORDED, abs=0.03)
    for row, (low, high) in {
        "pressed_db": remix.PRESSED_DB,
        "hissed_db": remix.HISSED_DB,
        "heard_db": remix.HEARD_DB,
    }.items():
        values = np.array([getattr(t, row) for t in takes])
        values = values[(values != 0) & (values > remix.SILENT_DB)]
        assert values.min() == pytest.approx(low, abs=1)
        assert values.max() == pytest.approx(high, abs=1)
    mixes = [t for t in takes if t.gains_db[0] < 0]
    silent = {s: np.mean([not t.has(STEMS, s) for t in mixes]) for s in STEMS}
    for part, share in remix.MUTED.items():
        expected = share * (1 - remix.ALONE) + (part != "melody") * remix.ALONE
        assert silent[part] == pytest.approx(expected, abs=0.02)
    assert np.mean([t.pressed_db > 0 for t in mixes]) == pytest.approx(remix.PRESSED, abs=0.03)
    assert np.mean([t.hissed_db > remix.SILENT_DB for t in mixes]) == pytest.approx(remix.HISSED, abs=0.03)
    for k, stem in enumerate(STEMS, 1):
        assert np.std([t.gains_db[k] for t in mixes if t.has(STEMS, stem)]) == pytest.approx(
            remix.LEVEL_DB[stem], rel=0.1
        )
        assert np.std([t.equalizers_db[k] for t in mixes]) == pytest.approx(remix.EQUALIZER_DB, rel=0.1)
    assert all(remix.draw(draw, ()).gains_db[0] == 0 for _ in range(20))


def prepared(folder, rate: int = 22_050, stems: tuple[str, ...] = STEMS, has_truth: bool = True):
    """Two excerpts of the tones, the second softer."""
    arrays = truth().arrays() if has_truth else {}
    sounds = tones() / np.float32(32767)
    made = [
        Item({}, gain * sounds[0], dict(zip(stems, gain * sounds[1:], strict=False)), arrays) for gain in (1.0, 0.5)
    ]
    shard = write_shard(folder, 0, "tiny", rate, made)
    write_manifest(folder, {}, [shard])
    return folder


def test_batches_are_drawn_from_all_excerpts_places_and_pitches(tmp_path) -> None:
    module = excerpts()
    folder = prepared(tmp_path)
    source = module.Excerpts(str(folder), 200)
    first, again, other = (source.batch(Draws(0, step), 3) for step in (0, 0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name], err_msg=name)
    assert any((first[name] != other[name]).any() for name in first)
    drawn = [source._draw(Draws(0, 0).generator(slot)) for slot in range(200)]
    assert {e.shift for e in drawn} == set(range(-module.SHIFT, module.SHIFT + 1))
    starts = np.array([e.start for e in drawn])
    assert starts.min() < 20
    assert starts.max() > frame_count(tones().shape[1]) - 220
    assert {round(float(np.abs(e.sounds[2]).max()) / 6553.4, 1) for e in drawn} == {0.5, 1.0}
    late = next(e for e in drawn if e.start > 100)
    for k in range(4):
        np.testing.assert_allclose(levels_db(late.sounds[1 + k] / 32767).argmax(), k, err_msg=STEMS[k])


def test_examples_are_made_where_the_draws_say(tmp_path, monkeypatch) -> None:
    """Whether there is an accelerator or not."""
    module, torch = excerpts(), pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    source = module.Excerpts(str(prepared(tmp_path)), 100)
    assert {v.device.type for v in source.batch(Draws(0, 0), 1).values()} == {"cpu"}
    asked = []
    monkeypatch.setattr(module, "examples", lambda drawn, frames, seed, device: asked.append(device) or {})
    source.batch(Draws(0, 0, 1, "cuda:1"), 1)
    assert asked == [torch.device("cuda:1")]


@pytest.mark.parametrize("wrong", [{"rate": 16_000}, {"stems": ("a", "b", "c", "d")}, {"has_truth": False}])
def test_other_data_is_refused(wrong: dict, tmp_path) -> None:
    module = excerpts()
    with pytest.raises(InputError, match="contrafact prepare leadsheet"):
        module.Excerpts(str(prepared(tmp_path, **wrong)), 200).batch(Draws(0, 0), 1)


def test_readers_have_their_own_melody() -> None:
    assert neural.Config().melody.share > mixed.Config().melody.share
    changed = from_mapping(neural.Config, {"melody": {"trust": 1.0}}, "neural")
    assert replace(changed, melody=replace(changed.melody, trust=0.6)) == neural.Config()


def test_a_lead_between_two_semitones_counts_for_both() -> None:
    network = pytest.importorskip("contrafact.leadsheets.neural.network")
    torch = pytest.importorskip("torch")
    shapes = {
        "strokes": 3,
        "chord": _labels.CHORDS,
        "bass": 13,
        "key": 24,
        "melody": REST + 1,
        "notes": 88,
        "onsets": 88,
    }
    outputs = [torch.zeros(1, 4, n) for n in shapes.values()]
    logp = torch.log_softmax(torch.arange(REST + 1.0), 0)
    outputs[4] = logp.expand(1, 4, -1)
    batch = {
        n: torch.zeros(1, 4, k) if n in ("strokes", "notes", "onsets") else torch.zeros(1, 4, dtype=torch.int64)
        for n, k in shapes.items()
    }
    batch["melody"] = torch.tensor([[20, 30, REST, _labels.UNKNOWN]])
    batch["melody_off"] = torch.tensor([[0.25, -0.5, 0.0, 0.0]])
    expected = -(0.75 * logp[20] + 0.25 * logp[21] + 0.5 * logp[30] + 0.5 * logp[29] + logp[REST]) / 3
    assert network.losses(tuple(outputs), batch)["melody"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_harmonics_and_pairs_are_where_they_should_be() -> None:
    network = pytest.importorskip("contrafact.leadsheets.neural.network")
    torch = pytest.importorskip("torch")
    pitch = torch.arange(4 * BINS, dtype=torch.float32).reshape(1, 4, BINS) + 1
    found = network.harmonics(pitch).numpy()
    for h, harmonic in enumerate(network.HARMONICS):
        for semitone, column in ((0, 0), (30, 1), (95, 2)):
            k = 3 * semitone + column + round(36 * np.log2(harmonic))
            expected = pitch[0, 2, k].item() if 0 <= k < BINS else 0
            assert found[0, 3 * h + column, 2, semitone] == expected
    x = torch.arange(2 * 4 * 3 * 5, dtype=torch.float32).reshape(2, 4, 3, 5)
    apart = network.apart(x)
    for answer in range(2):
        for frame in range(6):
            np.testing.assert_array_equal(apart[:, answer, frame], x[:, 2 * answer + frame % 2, frame // 2])


@pytest.mark.parametrize("pitch", [33, 60, 69, 88])
def test_a_tone_lights_the_middle_bin_of_its_semitone(pitch: int) -> None:
    t = np.arange(3 * 22_050) / 22_050
    image, mel = spectra((0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t)).astype(np.float32))
    assert image.shape == (frame_count(len(t)), 3 * SEMITONES)
    assert len(mel) == len(image)
    assert int(image[len(image) // 2].argmax()) == 3 * (pitch - LOWEST) + 1


def test_spectra_of_a_long_recording_have_no_seams(monkeypatch) -> None:
    from contrafact.leadsheets.neural import _spectra

    samples = np.random.default_rng(0).standard_normal(20 * 22_050).astype(np.float32)
    whole, _ = spectra(samples)
    monkeypatch.setattr(_spectra, "BLOCK", 100)
    pieces, _ = spectra(samples)
    np.testing.assert_allclose(pieces, whole, atol=2e-3)


@pytest.mark.parametrize("samples", [0, 1, HOP, 22_050])
def test_spectra_of_silence_are_zero(samples: int) -> None:
    for image in spectra(np.zeros(samples, np.float32)):
        assert len(image) == samples // HOP + 1
        assert not image.any()


def log_of(classes: np.ndarray, count: int) -> np.ndarray:
    """Log-probabilities that are nearly sure of each frame's class."""
    found = np.full((len(classes), count), np.log(0.01 / count), np.float32)
    found[np.arange(len(classes)), classes] = np.log(0.99)
    return found


def heard(onsets_s: np.ndarray, duration_s: float) -> Features:
    """Features of clicks."""
    frames = int(duration_s * CLOCK) + 1
    onset = np.zeros(frames, np.float32)
    at = np.rint(onsets_s * CLOCK).astype(int)
    onset[at[at < frames]] = 1
    zero = np.zeros((frames, 88), np.float32)
    return Features(duration_s, onset, onset, onset, onset, zero, zero, np.zeros((frames, 12), np.float32))


def strokes(beats_s: np.ndarray, downbeats_s: np.ndarray, duration_s: float) -> np.ndarray:
    found = np.full((int(duration_s * FRAME_RATE) + 1, 3), 0.02, np.float32)
    for column, times in ((0, beats_s), (1, downbeats_s)):
        found[np.rint(times * FRAME_RATE).astype(int), column] = 0.9
    return found


@pytest.mark.parametrize(("tempo", "per_bar"), [(60, 4), (90, 3), (124, 4), (178, 4), (200, 3)])
def test_beats_and_bars_are_those_of_the_activations(tempo: float, per_bar: int) -> None:
    """Onsets on every eighth do not mislead: the activations tell which of them are beats."""
    beats = np.arange(0.7, 60, 60 / tempo)
    eighths = np.arange(0.7, 60, 30 / tempo)
    rhythm = _rhythm.find_rhythm(strokes(beats, beats[1::per_bar], 60.5), landscape(heard(eighths, 60.5)))
    inside = rhythm.beats_s[(rhythm.beats_s > 2) & (rhythm.beats_s < 59)]
    assert np.abs(beats[:, None] - inside).min(axis=0).max() < 0.02
    assert len(inside) == ((beats > 2) & (beats < 59)).sum()
    assert rhythm.bars.metre == f"{per_bar}/4"
    bars = rhythm.beats_s[rhythm.bars.downbeats]
    assert np.abs(beats[1::per_bar, None] - bars[(bars > 2) & (bars < 59)]).min(axis=0).max() < 0.02
    assert rhythm.confidence > 0.6


LENGTH_S = 60.5
FAST_S = np.arange(0.6, LENGTH_S, 0.55)  # 109 a minute
SLOW_S = FAST_S[::2]


def backbeat(kicks_s: np.ndarray, snares_s: np.ndarray, loud: float = 15.0) -> Landscape:
    onsets = heard(FAST_S, LENGTH_S)
    low, high = (loud * heard(times, LENGTH_S).onset for times in (kicks_s, snares_s))
    return landscape(replace(onsets, low=low, high=high))


@pytest.mark.parametrize(
    ("drums", "beats_s"),
    [
        (backbeat(SLOW_S[::2], SLOW_S[1::2]), SLOW_S),
        (backbeat(FAST_S[::2], FAST_S[1::2]), FAST_S),
        (backbeat(SLOW_S[::2], SLOW_S[1::2], loud=0.1), FAST_S),
    ],
)
def test_the_snare_tells_the_level_where_the_network_hears_two(drums, beats_s, monkeypatch) -> None:
    """Eighths of a slow song sound like beats too; where hardly any drums are heard, the network is believed."""
    sure = strokes(FAST_S, SLOW_S[::4], LENGTH_S)
    period_s = np.median(np.diff(_rhythm.find_rhythm(sure, drums).beats_s))
    assert period_s == pytest.approx(np.diff(beats_s)[0], rel=0.01)
    monkeypatch.setattr(_rhythm, "BACKBEAT", 0.0)
    assert np.median(np.diff(_rhythm.find_rhythm(sure, drums).beats_s)) == pytest.approx(0.55, rel=0.01)


@pytest.mark.parametrize(("metre", "weak"), [("4/4", (1, 3)), ("3/4", (1, 2))])
def test_the_backbeat_is_that_of_the_bars(metre, weak) -> None:
    """Highest where the bars put the snares on their weak beats."""
    per_bar = int(metre[0])
    land = backbeat(np.zeros(0), np.concatenate([SLOW_S[place::per_bar] for place in weak]), loud=1.0)
    sure = strokes(SLOW_S, SLOW_S[::per_bar], LENGTH_S)[:, 0]
    found = [
        _rhythm.traits(sure, land, SLOW_S, Bars(metre, np.arange(first, len(SLOW_S), per_bar), 1.0)).backbeat
        for first in range(per_bar)
    ]
    assert found[0] == pytest.approx(np.log(2))
    assert found[1] < 0.1


def test_another_tempo_in_the_middle_is_followed() -> None:
    beats = np.concatenate([np.arange(0.7, 60, 60 / 72), np.arange(60.7, 120, 60 / 88)])
    rhythm = _rhythm.find_rhythm(strokes(beats, beats[::4], 120.5), landscape(heard(beats, 120.5)))
    inside = rhythm.beats_s[(rhythm.beats_s > 2) & (rhythm.beats_s < 119)]
    assert np.mean(np.abs(beats[:, None] - inside).min(axis=0) < 0.02) > 0.97
    assert len(inside) == ((beats > 2) & (beats < 119)).sum()


@pytest.mark.parametrize("change_cost", [0.0, 2.0, 20.0])
def test_no_path_of_beats_is_better(change_cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the plain recursion over all paths."""
    monkeypatch.setattr(_tempo, "CHANGE_COST", change_cost)
    shortest, longest = 4, 8
    odds = np.random.default_rng(int(change_cost)).normal(0, 2, 60)

    def price(lag: int, before: int) -> float:
        return change_cost * abs(np.log(lag / before)) if abs(lag - before) > 1 else 0.0

    @cache
    def best(t: int, lag: int) -> float:
        if t < lag:
            return float(odds[t])
        return float(odds[t]) + max(best(t - lag, k) - price(lag, k) for k in range(shortest, longest + 1))

    path = _tempo.beat_frames(odds, 60 * FRAME_RATE / longest, 60 * FRAME_RATE / shortest).tolist()
    gaps = np.diff(path).tolist()
    first = [-price(gaps[0], k) for k in range(max(shortest, path[0] + 1), longest + 1)]
    found = odds[path].sum() + max(first) - sum(price(b, a) for a, b in pairwise(gaps))
    last = range(len(odds) - longest, len(odds))
    assert found == pytest.approx(max(best(t, k) for t in last for k in range(shortest, longest + 1)))


def test_the_pace_keeps_to_one_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the second half of a song has every second beat only."""
    beats = np.concatenate([np.arange(0.7, 60, 0.5), np.arange(60.7, 100, 1.0)])
    odds = _rhythm.log_odds(strokes(beats, beats[::4], 100.5)[:, 0].astype(np.float64))
    times_s = np.arange(10, 90, 1.0)
    np.testing.assert_allclose(_tempo.curve(odds, times_s, 40, 230), 0.5, atol=0.03)
    monkeypatch.setattr(_tempo, "OCTAVE", 4.0)
    assert _tempo.curve(odds, times_s, 40, 230)[-1] == pytest.approx(1.0, abs=0.03)


def test_onsets_tell_the_pace_where_the_network_hears_none() -> None:
    """Each beat is as likely as not, a third of them come early or late, and the onsets are even."""
    beats = np.arange(0.7, 60, 0.5)
    late = beats + np.random.default_rng(0).choice([0, 0, 0.19, -0.19], len(beats))
    rhythm = _rhythm.find_rhythm(strokes(late, beats[::4], 60.5), landscape(heard(beats, 60.5)))
    inside = rhythm.beats_s[(rhythm.beats_s > 2) & (rhythm.beats_s < 59)]
    assert np.abs(beats[:, None] - inside).min(axis=0).max() < 0.02


def test_accents_tell_the_level_where_the_network_hears_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Onsets fall on the slow beats alone, which stand at a usual tempo; the network is sure of the fast ones."""
    fast = strokes(FAST_S, SLOW_S[::4], LENGTH_S)
    land = landscape(heard(SLOW_S, LENGTH_S))
    found = {}
    for weight in (0.0, 3.0):
        monkeypatch.setattr(_rhythm, "ACCENTS", weight)
        found[weight] = float(np.median(np.diff(_rhythm.find_rhythm(fast, land).beats_s)))
    assert found == {0.0: pytest.approx(0.55, rel=0.01), 3.0: pytest.approx(1.1, rel=0.01)}


def test_the_network_tells_the_pace_where_onsets_mislead() -> None:
    """Onsets are steady at another pace; loud in the network's ears are the beats."""
    beats = np.arange(0.7, 60, 60 / 100)
    onsets = np.arange(0.7, 60, 60 / 132)
    rhythm = _rhythm.find_rhythm(strokes(beats, beats[::4], 60.5), landscape(heard(onsets, 60.5)))
    assert np.median(np.diff(rhythm.beats_s)) == pytest.approx(0.6, rel=0.01)


def test_beats_may_fall_between_the_onsets() -> None:
    """Music on the off-beats alone: the onsets are half a beat late, and the network knows."""
    beats = np.arange(0.7, 60, 0.6)
    grids = _rhythm.find_grids(strokes(beats + 0.3, beats[::4], 60.5)[:, 0], heard(beats + 0.3, 60.5))
    assert any(np.abs(beats[5:90, None] - grid).min(axis=1).max() < 0.03 for grid in grids)


def test_a_pace_is_heard_over_a_floor_of_doubt() -> None:
    """Everything is a beat to the network, but every 0.6 s a little more so, and between them a little less."""
    odds = np.full(int(60 * FRAME_RATE), 1.0)
    for frame in np.rint(np.arange(0.3, 60, 0.6) * FRAME_RATE).astype(int):
        odds[frame - 5 : frame + 6] = 0.5
    odds[np.rint(np.arange(0.6, 60, 0.6) * FRAME_RATE).astype(int)] = 3.0
    chance = (1 / (1 + np.exp(-odds))).astype(np.float32)
    np.testing.assert_allclose(_rhythm.pace(chance, np.arange(5, 55, 1.0)), 0.6, rtol=0.02)


def test_beats_heard_everywhere_tell_nothing() -> None:
    """Noise: the network is as sure of each moment as of any other, so the grid is the onsets', and a guess."""
    beats = np.arange(0.7, 60, 0.5)
    sure = np.full((int(60.5 * FRAME_RATE) + 1, 3), 0.8, np.float32)
    rhythm = _rhythm.find_rhythm(sure, landscape(heard(beats, 60.5)))
    assert rhythm.confidence < 0.1
    inside = rhythm.beats_s[(rhythm.beats_s > 2) & (rhythm.beats_s < 59)]
    assert np.abs(beats[:, None] - inside).min(axis=0).max() < 0.02
    assert np.median(np.diff(inside)) == pytest.approx(0.5, rel=0.01)


def test_nothing_heard_gives_a_grid_without_confidence() -> None:
    rhythm = _rhythm.find_rhythm(np.full((900, 3), 0.001, np.float32), landscape(heard(np.zeros(0), 20.0)))
    assert len(rhythm.beats_s) > 8
    assert rhythm.confidence < 0.1


def test_chords_are_those_of_the_activations() -> None:
    found = labels_of(truth(), COUNT)
    positions = np.arange(len(BEATS_S)) % 4
    chords = _harmony.find_chords(
        log_of(found.chord, NO_CHORD + 1), log_of(found.bass, 13), ALONE, UNHEARD, BEATS_S, positions, 4, "A:min", 12.0
    )
    assert [(c.start_s, c.symbol) for c in chords] == [(0, "N"), (0.5, "A:min7"), (6, "G:maj/3"), (11, "N")]
    assert chords[-1].end_s == 12
    assert all(c.confidence > 0.9 for c in chords)


def test_a_beat_of_doubt_does_not_change_the_chord() -> None:
    classes = np.full(COUNT, 9)
    classes[int(3 * FRAME_RATE) : int(3.2 * FRAME_RATE)] = 4
    chords = _harmony.find_chords(
        log_of(classes, NO_CHORD + 1), log_of(classes, 13), ALONE, UNHEARD, BEATS_S, PLACES, 4, "A:maj", 12.0
    )
    assert [c.symbol for c in chords] == ["A:maj"]


def test_chords_are_spelled_for_the_key() -> None:
    states = log_of(np.full(COUNT, 8), NO_CHORD + 1), log_of(np.full(COUNT, 12), 13)
    for key, symbol in (("C:maj", "Ab:maj"), ("A:min", "G#:maj")):
        chords = _harmony.find_chords(*states, ALONE, UNHEARD, BEATS_S, PLACES, 4, key, 12.0)
        assert [c.symbol for c in chords] == [symbol]


def test_long_notes_are_cut_where_their_pitch_begins_anew() -> None:
    melody = [MelodyNote(1.0, 4.0, 69, 0.9), MelodyNote(5.0, 3.0, 69), MelodyNote(9.0, 4.0, 71)]
    heard = [(0.95, 69), (2.0, 69), (2.05, 69), (3.0, 81), (3.5, 69), (4.95, 69), (6.0, 69), (9.0, 71), (11.0, 71)]
    parts = tuple(Part(str(k), 0, (Note(onset, 0.5, pitch, 80),)) for k, (onset, pitch) in enumerate(heard))
    found = mixed.struck_anew(melody, Score(parts))
    assert [(n.onset_s, n.duration_s, n.pitch) for n in found] == [
        (1.0, 1.0, 69),
        (2.0, 1.5, 69),
        (3.5, 1.5, 69),
        (5.0, 3.0, 69),
        (9.0, 2.0, 71),
        (11.0, 2.0, 71),
    ]
    assert found[1].confidence == 0.9
    few = tuple(part for part in parts if part.notes[0].onset_s != 3.5)
    assert mixed.struck_anew(melody, Score(few)) == tuple(melody), "as an accompaniment may"


def test_where_nothing_else_tells_it_a_chord_is_of_the_key() -> None:
    wavering = log_of(np.full(COUNT, 9), NO_CHORD + 1)
    wavering[:, 12 * (QUALITIES.index("min") - 1) + 9] = wavering[:, 9]  # A major or A minor
    for key, symbol in (("A:maj", "A:maj"), ("E:maj", "A:maj"), ("C:maj", "A:min"), ("F:maj", "A:min")):
        found = _harmony.find_chords(
            wavering, log_of(np.full(COUNT, 9), 13), ALONE, UNHEARD, BEATS_S, PLACES, 4, key, 12.0
        )
        assert [c.symbol for c in found] == [symbol]


def sounding(*pitch_classes: int) -> Chromas:
    """The same notes all the time, the first of them in the bass."""
    rows = np.zeros((int(12 * CLOCK), 12))
    rows[:, list(pitch_classes)] = 1.0
    return Chromas(running(rows), running(rows * (np.arange(12) == pitch_classes[0])))


def test_where_the_network_wavers_what_sounds_tells_the_chord() -> None:
    wavering = log_of(np.full(COUNT, 9), NO_CHORD + 1)
    wavering[:, 5] = wavering[:, 9]  # F or A major, as the network hears it
    bass = log_of(np.full(COUNT, 12), 13)

    def heard(scores: np.ndarray, sums: Chromas, config: _harmony.Config = ALONE) -> list[str]:
        found = _harmony.find_chords(scores, bass, config, sums, BEATS_S, PLACES, 4, "C:maj", 12.0)
        return [c.symbol for c in found]

    assert heard(wavering, sounding(5, 9, 0)) == ["F:maj"]
    assert heard(wavering, sounding(9, 1, 4)) == ["A:maj"]
    sure = log_of(np.full(COUNT, 9), NO_CHORD + 1)
    assert heard(sure, sounding(5, 9, 0)) == ["A:maj"], "where it is sure, it is right"
    assert heard(sure, sounding(5, 9, 0), _harmony.Config(trust=0.5, chroma=16)) == ["F:maj"], "its word counts less"
    assert heard(np.full((COUNT, NO_CHORD + 1), -30.0), sounding(5, 9, 0)) == ["F:maj"], "it cannot say never"


def test_silence_is_told_by_the_network_or_by_what_sounds() -> None:
    bass = log_of(np.full(COUNT, 12), 13)
    unknown = log_of(np.full(COUNT, NO_CHORD), NO_CHORD + 1)
    unknown[:, 9] += 1.0  # to the network hardly a chord, and A major if it is one

    def heard(config: _harmony.Config, sums: Chromas) -> list[Chord]:
        return list(_harmony.find_chords(unknown, bass, config, sums, BEATS_S, PLACES, 4, "C:maj", 12.0))

    for config, symbol in ((neural.Harmony(), "N"), (mixed.Harmony(), "A:maj")):
        assert [c.symbol for c in heard(config, sounding(9, 1, 4))] == [symbol]
        assert [c.symbol for c in heard(config, UNHEARD)] == ["N"]
    doubted = heard(mixed.Harmony(), sounding(9, 1, 4))
    assert doubted[0].confidence < 0.1, "a chord that the network does not hear is not sure"
    unknown[:, :NO_CHORD] -= 20.0  # it is all but certain that there is none, and still would have A major
    deaf = _harmony.Config(trust=1.0, chroma=0.0, tells_silence=False)
    assert [c.symbol for c in heard(deaf, sounding(2, 6, 9))] == ["A:maj"]


def test_means_over_beats_are_those_of_their_frames() -> None:
    rows = np.random.default_rng(0).random((COUNT, 5)).astype(np.float32)
    edges = np.array([0.0, 0.5, 0.5, 3.01, 11.0, 12.0])
    found = _harmony.span_means(rows, edges)
    for mean, (a, b) in zip(found, pairwise(np.rint(edges * FRAME_RATE).astype(int)), strict=True):
        np.testing.assert_allclose(mean, rows[a : max(b, a + 1)].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("change", [{"trust": -1.0}, {"chroma": -1.0}])
def test_weights_below_nothing_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="trust and chroma"):
        _harmony.Config(**change)


def melody_of(spans: list[tuple[float, float, int]], duration_s: float, sure: float = 0.99) -> np.ndarray:
    classes = np.full(int(duration_s * FRAME_RATE), REST)
    for start, end, pitch in spans:
        classes[round(start * FRAME_RATE) : round(end * FRAME_RATE)] = pitch - LOWEST_MELODY
    found = np.full((len(classes), MELODY_PITCHES + 1), np.log((1 - sure) / MELODY_PITCHES), np.float32)
    found[np.arange(len(classes)), classes] = np.log(sure)
    return found


def starts_at(times_s: list[float], duration_s: float, height: float = 0.9) -> np.ndarray:
    found = np.zeros(int(duration_s * FRAME_RATE), np.float32)
    found[np.rint(np.array(times_s) * FRAME_RATE).astype(int)] = height
    return found


LINE = [(0.5, 1.0, 60), (1.0, 1.5, 64), (2.0, 3.0, 67)]


def test_the_melody_is_that_of_the_activations() -> None:
    notes = _melody.find_melody(melody_of(LINE, 4), starts_at([0.5, 1.0, 2.0], 4))
    assert [n.pitch for n in notes] == [60, 64, 67]
    for note, (start, end, _) in zip(notes, LINE, strict=True):
        assert abs(note.onset_s - start) < 1.5 / FRAME_RATE
        assert abs(note.onset_s + note.duration_s - end) < 1.5 / FRAME_RATE
        assert note.confidence > 0.9


def test_a_held_pitch_is_cut_where_a_start_is_heard() -> None:
    line = melody_of([(0.5, 2.5, 60)], 4)
    assert len(_melody.find_melody(line, starts_at([0.5], 4))) == 1
    assert len(_melody.find_melody(line, starts_at([0.5, 1.5], 4))) == 2
    assert len(_melody.find_melody(line, starts_at([0.5, 1.5], 4, 0.4), _melody.Config(restrike=0.3))) == 2
    assert len(_melody.find_melody(line, starts_at([0.5, 1.5], 4, 0.4), _melody.Config(restrike=0.6))) == 1


def test_prices_of_the_melody_do_what_they_say() -> None:
    blip = melody_of([(0.5, 1.5, 60), (1.5, 1.56, 72), (1.56, 2.5, 60)], 4, sure=0.6)
    silent = np.zeros(len(blip), np.float32)

    def pitches(**prices: float) -> list[int]:
        return [n.pitch for n in _melody.find_melody(blip, silent, _melody.Config(shortest_s=0.0, **prices))]

    free = {"change_cost": 0.0, "leap_cost": 0.0}
    assert pitches(**free) == [60, 72, 60]
    assert pitches(change_cost=20.0, leap_cost=0.0) == [60]
    assert pitches(change_cost=0.0, leap_cost=2.0) == [60]
    assert pitches(trust=0.01, change_cost=1.0, leap_cost=0.0) != pitches(trust=2.0, change_cost=1.0, leap_cost=0.0)
    short = _melody.find_melody(blip, silent, _melody.Config(shortest_s=0.1, **free))
    assert [n.pitch for n in short] == [60], "a blip belongs to the note that it interrupts"
    doubtful = melody_of([(0.5, 2.5, 60)], 4, sure=0.99)
    doubtful[:, REST] = np.maximum(doubtful[:, REST], np.log(0.99))
    quiet = _melody.find_melody(doubtful, silent, _melody.Config(voicing=-1.0, share=0.0))
    assert not quiet
    assert _melody.find_melody(doubtful, silent, _melody.Config(voicing=1.0, share=0.0))


def test_steps_of_a_glide_belong_to_the_notes_beside_them() -> None:
    glide = [(0, 20, 7), (20, 21, 8), (21, 23, 9), (23, 50, 10), (60, 61, 12), (70, 71, 3), (71, 72, 4), (72, 74, 5)]
    assert _melody.gathered(glide, 3) == [(0, 21, 7), (21, 50, 10), (70, 74, 5)]
    assert _melody.gathered(glide, 1) == glide
    assert _melody.gathered([(0, 2, 5)], 3) == []
    line = melody_of([(0.5, 2.5, 60)], 4)
    assert len(_melody.find_melody(line, starts_at([0.5, 0.55, 1.5], 4))) == 2, "no piece is shorter than a note may be"


def test_a_leap_costs_across_a_rest_too() -> None:
    line = melody_of([(0.5, 1.5, 60), (2.0, 3.0, 86)], 4)
    second = slice(round(2.0 * FRAME_RATE), round(3.0 * FRAME_RATE))
    line[second, 86 - LOWEST_MELODY], line[second, 62 - LOWEST_MELODY] = np.log(0.5), np.log(0.45)
    starts = starts_at([0.5, 2.0], 4)

    def pitches(leap_cost: float) -> list[int]:
        config = _melody.Config(leap_cost=leap_cost, share=0.0, shortest_s=0.2)
        return [n.pitch for n in _melody.find_melody(line, starts, config)]

    assert pitches(0.0) == [60, 86]
    assert pitches(0.3) == [60, 62]


def test_a_shy_voice_is_heard_but_silence_is_not_made_to_sing() -> None:
    """A song whose melody is never quite as likely as rest: more voicing, up to a limit, until it has its share."""
    shy = melody_of([(0.5, 3.5, 60)], 5)
    sung = shy[:, 60 - LOWEST_MELODY] > np.log(0.5)
    shy[sung, REST], shy[sung, 60 - LOWEST_MELODY] = np.log(0.9), np.log(0.1)
    middle = slice(round(1.0 * FRAME_RATE), round(3.0 * FRAME_RATE))
    shy[middle, REST], shy[middle, 60 - LOWEST_MELODY] = np.log(0.7), np.log(0.3)
    silent = np.zeros(len(shy), np.float32)

    def heard(**settings: float) -> list[int]:
        return [n.pitch for n in _melody.find_melody(shy, silent, _melody.Config(**settings))]

    assert heard(share=0.0) == []
    assert heard(share=0.5) == [60]
    only = _melody.find_melody(shy, silent, _melody.Config(share=0.5))[0]
    assert only.confidence > 0.8, "if anything is sung, it is this pitch"
    assert heard(share=0.5, voicing_most=0.5) == []
    assert _melody.find_melody(melody_of([], 5), silent) == ()
    for wrong in ({"share": 1.0}, {"voicing": 2.0, "voicing_most": 1.0}):
        with pytest.raises(ValueError):
            _melody.Config(**wrong)


@pytest.mark.parametrize("registry", [LEADSHEETS, TRANSCRIBERS])
def test_unknown_weights_name_the_nearest(registry) -> None:
    with pytest.raises(SettingsError, match="'leadsheet'"):
        registry.build("neural", weights="leadshet")


@pytest.mark.parametrize("hoards", [True, False])
def test_a_session_keeps_the_memory_of_its_runs_where_it_may(hoards: bool) -> None:
    session = open_session(weights.find("leadsheet"), hoards=hoards)
    assert session.get_session_options().enable_cpu_mem_arena == hoards
    listening = _listener._session(weights.find("leadsheet"))
    assert not listening.get_session_options().enable_cpu_mem_arena, "a listener's runs are long"
