"""The drum kit: General MIDI notes, limbs, what human drummers play where (section 4 of the style facts), and what all
drummers share: where fills are due, and the final chord."""

from __future__ import annotations

import numpy as np

from contrafact.players._form import Bar, Form
from contrafact.players._perform import Event

FILL = 13
"""Number of the draws that place fills, see `_perform.randomness`."""

KICK, CROSS_STICK, SNARE, CLOSED_HAT, HAT_FOOT, CRASH, RIDE = 36, 37, 38, 42, 44, 49, 51
BRUSH_TAP, BRUSH_SWIRL = 38, 40
TOMS = (48, 47, 45, 43)
"""From high to low."""

LIMB_LATE_S = {HAT_FOOT: -0.010, KICK: -0.004, SNARE: -0.002, CROSS_STICK: -0.002}
"""Place of a limb against the ride; the rest are on it."""

# Probability of a hit at each third of a beat; four beats or three. The last third is the swung off-beat.
SNARE_SWING = (0.07, 0.13, 0.30, 0.27, 0.15, 0.32, 0.10, 0.25, 0.23, 0.31, 0.14, 0.35)
KICK_SWING = (0.34, 0.01, 0.12, 0.12, 0.01, 0.20, 0.16, 0.01, 0.21, 0.16, 0.02, 0.23)
SNARE_WALTZ = (0.20, 0.23, 0.37, 0.15, 0.29, 0.35, 0.21, 0.30, 0.38)
KICK_WALTZ = (0.58, 0.03, 0.11, 0.01, 0.05, 0.27, 0.04, 0.05, 0.39)

# Ride on a beat: plain quarter, quarter and skip note, skip note alone, rest.
RIDE_STRONG = (0.74, 0.10, 0.02, 0.14)
RIDE_WEAK = (0.25, 0.57, 0.08, 0.10)
RIDE_WALTZ = ((0.72, 0.10, 0.0, 0.18), (0.18, 0.70, 0.06, 0.06), (0.76, 0.06, 0.02, 0.16))
HAT_FOOT_WALTZ = (0.08, 0.88, 0.5)

# Bossa, straight eighths of a bar of four; a bar of three takes the first six.
CYMBAL_BOSSA = (0.75, 0.68, 0.80, 0.80, 0.82, 0.80, 0.76, 0.78)
CYMBAL_BOSSA_VELOCITY = (54, 46, 57, 42, 52, 56, 48, 46)
KICK_BOSSA = (0.98, 0.02, 0.02, 0.94, 0.96, 0.03, 0.02, 0.94)
SNARE_BOSSA = (0.10, 0.16, 0.2, 0.08, 0.11, 0.18, 0.14, 0.09)
KICK_BOSSA_THREE = (0.95, 0.02, 0.85, 0.6, 0.85, 0.5)
CROSS_STICKS = ((2, 5), (1, 4, 6), (1, 5), (0, 2, 5), (0, 5), (0, 3, 6), (2, 5), (0, 3, 6))
"""Cross-stick bars as eighths; drawn, not looped. The clave's two halves come up most."""
CROSS_STICKS_THREE = ((2, 5), (1, 4), (0, 3), (3,), (2,))


def fill_length(bar: Bar, density: float, rng: np.random.Generator) -> int:
    """Beats of the fill that ends a bar, 0 for none: two or three that close a chorus, one now and then after four
    bars."""
    draws = rng.random(3)
    if bar.closes_chorus:
        beats, chance = min(bar.beats, 2 if draws[0] < 0.7 else 3), 0.8
    else:
        beats, chance = 1, 0.5 * density if bar.place % 4 == 3 else 0.0
    return 0 if bar.index == 0 or draws[1] >= chance else beats


def ending(form: Form) -> list[Event]:
    """The final chord with sticks: crash and kick."""
    bar = form.final
    return [Event(bar.first, ringing(form), CRASH, 72), Event(bar.first, 0.5, KICK, 60)]


def ringing(form: Form) -> float:
    """Beats that the final chord rings."""
    return max(0.5, float(form.grid.beat_at(form.final_s)) - form.final.first)
