"""What can be asked for, and what a configuration asks for; no torch here."""
