"""Lead-sheet readers: (`Audio`, `Transcription`) -> `LeadSheet`."""
