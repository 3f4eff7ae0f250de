"""The n-gram baselines reach the entropy of languages whose entropy is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHAIN = np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.3, 0.5, 0.2]])


@pytest.fixture
def ngrams(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ngrams

    return ngrams


def language(length: int, seed: int) -> list[int]:
    """A Markov chain of order one."""
    draws, steps = np.random.default_rng(seed).random(length), np.cumsum(CHAIN, axis=1)
    made = [0]
    for draw in draws:
        made.append(int(np.searchsorted(steps[made[-1]], draw)))
    return made


def surprise(model, tokens: list[int]) -> float:
    return -float(np.mean([np.log(model.probabilities((a,))[b]) for a, b in pairwise(tokens)]))


def entropies() -> tuple[float, float]:
    """In nats: of a token on its own, and of one after its neighbour."""
    values, vectors = np.linalg.eig(CHAIN.T)
    still = np.real(vectors[:, np.argmax(np.real(values))])
    still /= still.sum()
    return -float(still @ np.log(still)), -float(still @ (CHAIN * np.log(CHAIN)).sum(axis=1))


@pytest.mark.parametrize("kind", ["kneser-ney", "plain"])
def test_it_reaches_the_entropy_of_a_markov_chain(ngrams, kind: str) -> None:
    train, test = language(20_000, 0), language(5_000, 1)
    alone, after = entropies()
    model = ngrams.NGram(3, 1, kind).fit([(a,) for a in train[:-1]], train[1:])
    assert surprise(model, test) == pytest.approx(after, abs=0.02)
    unigram = ngrams.NGram(3, 0, kind).fit([(a,) for a in train[:-1]], train[1:])
    assert surprise(unigram, test) == pytest.approx(alone, abs=0.02)
    assert after < alone - 0.1


@pytest.mark.parametrize("kind", ["kneser-ney", "plain"])
def test_probabilities_sum_to_one_after_contexts_seen_and_unseen(ngrams, kind: str) -> None:
    train = language(300, 0)
    model = ngrams.NGram(3, 2, kind, discount=0.6).fit(list(zip(train[1:], train, strict=False)), [*train[2:], 0])
    for chain in ((0, 0), (1, 2), (7, 7), (0, 9)):
        found = model.probabilities(chain)
        assert found.sum() == pytest.approx(1)
        assert [model.probability(chain, token) for token in range(3)] == pytest.approx(found.tolist())
        assert (model.probabilities(chain) > 0).all()


def test_kneser_ney_backs_off_to_the_number_of_contexts(ngrams) -> None:
    """One word is frequent after one other alone: seldom after unseen ones (the San Francisco of textbooks)."""
    contexts, tokens = [(9,)] * 50 + [(1,), (2,), (3,)], [0] * 50 + [1] * 3
    counted = ngrams.NGram(2, 1, "kneser-ney").fit(contexts, tokens).probabilities((8,))
    plain = ngrams.NGram(2, 1, "plain").fit(contexts, tokens).probabilities((8,))
    assert counted[1] > counted[0]
    assert plain[0] > plain[1]


def test_the_discount_moves_weight_to_coarser_contexts(ngrams) -> None:
    train = language(200, 0)
    model = ngrams.NGram(3, 1).fit([(a,) for a in train[:-1]], train[1:])
    found = []
    for discount in (0.0, 0.9):
        model.discount = discount
        found.append(model.probabilities((0,))[0])
    assert found[0] == pytest.approx(np.mean([b == 0 for a, b in pairwise(train) if a == 0]))
    assert found[1] < found[0]


def test_the_mixture_finds_the_better_model(ngrams) -> None:
    draws = np.random.default_rng(0)
    good, bad = draws.uniform(0.4, 0.6, 500), draws.uniform(0.05, 0.1, 500)
    weights = ngrams.mixture_weights(np.stack([good, bad]))
    assert weights[0] > 0.95
    assert weights.sum() == pytest.approx(1)


def test_shares_of_a_line_whose_shares_are_known(ngrams) -> None:
    from contrafact.players._changes import of_chords
    from contrafact.theory.chords import parse
    from walking_bass_shares import shares

    chords = tuple(parse(s) for s in ["C:maj7"] * 4 + ["F:7"] * 4)
    beat = np.arange(8) % 4
    line = (of_chords(chords, beat, 4, beat * 0, beat * 0, 150.0), [36, 40, 43, 42, 41, 41, 53, 45])
    found = shares([line])
    assert found["a chord starts: root"] == (1.0, 2)
    assert found["beat 2, held: third"] == (0.5, 2)
    assert found["beat 4, held: chord tone"] == (0.5, 2)
    assert found["move: semitone"] == (pytest.approx(2 / 7), 7)
    assert found["move: repeat"] == (pytest.approx(1 / 7), 7)
    assert found["turns after a leap"] == (1.0, 1)
    assert found["approach: semitone"] == (1.0, 1)
    again = of_chords(tuple(parse("C:maj7") for _ in range(8)), beat, 4, beat * 0, beat * 0, 150.0)
    assert shares([(again, [36, 40, 43, 45, 36, 40, 43, 47])])["returns after two pitches"] == (0.5, 2)
    twice = of_chords((*chords, *chords), np.arange(16) % 4, 4, np.zeros(16, int), np.zeros(16, int), 150.0)
    found = shares([(twice, [36] * 4 + [41] * 4 + [36, 37, 36, 36] + [41] * 4)])
    assert found["returns to the place in the chord"] == (0.75, 4)


@pytest.mark.parametrize("kind", ["kneser-ney", "plain"])
def test_many_events_at_once_are_given_what_each_is_given_alone(ngrams, kind: str) -> None:
    """Also after contexts that were never seen, at any level."""
    rng = np.random.default_rng(0)
    seen = rng.integers(-1, 4, (3, 400)), rng.integers(0, 5, 400)
    asked = rng.integers(-1, 6, (3, 300)), rng.integers(0, 5, 300)
    found = ngrams.chained(seen, asked, 5, kind, (0.5, 0.9))
    model = ngrams.NGram(5, 3, kind).fit(seen[0].T.tolist(), seen[1].tolist())
    for model.discount, given in zip((0.5, 0.9), found, strict=True):
        alone = [model.probability(chain, token) for chain, token in zip(asked[0].T.tolist(), asked[1], strict=True)]
        assert given == pytest.approx(alone, rel=1e-9)
