"""The drum kit: General MIDI notes, limbs, and what human drummers play where (section 4 of the style facts)."""

from __future__ import annotations

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
