"""Harmonizers: a song's chords in a style, ``(LeadSheet, amount, seed) -> LeadSheet``; 0 gives its own triads."""
