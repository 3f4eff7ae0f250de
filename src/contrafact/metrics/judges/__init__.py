"""Judges: phrases (phrases, 64, 84) -> probability of each that it is jazz."""
