"""Signal processing as pure functions; nothing here reads files or imports torch."""
