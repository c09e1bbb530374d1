"""Usage becomes charges, and at the month's end a statement."""
