"""Does it all add up? The audit, and the replay of everything."""
