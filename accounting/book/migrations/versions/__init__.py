"""vN.py brings a book to schema N."""
