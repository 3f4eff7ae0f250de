"""Music theory as pure functions and tables: chords, scales, voicings, voice leading, reharmonization."""
