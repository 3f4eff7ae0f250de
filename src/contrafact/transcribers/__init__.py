"""Transcribers: `Audio` (mono or stereo) -> `Transcription`."""
