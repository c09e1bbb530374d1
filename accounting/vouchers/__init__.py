"""Who takes part, what is issued to them, and what is held for their jobs."""
