"""What is learned: prompts in pixels, tokens, label maps; and their files."""
