"""What this package adds to vpbench; `descriptions` says it, the other modules do it."""
