"""Where usage comes from; each source is a function that yields runs."""
