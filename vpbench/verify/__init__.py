"""Whether records, prompts and tables say the same, checked again."""
