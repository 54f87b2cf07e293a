"""What makes the numbers, tables and figures of the pages and of the README."""
