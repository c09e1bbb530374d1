"""Charts: described once as plain data, drawn in a terminal, on a page or as a picture."""
