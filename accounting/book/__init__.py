"""The book: one journal that everything is written to, and the keys that sign."""
