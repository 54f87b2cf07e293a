"""What knows nothing of visual prompts: files, messages, hashes, locks; no torch here."""
