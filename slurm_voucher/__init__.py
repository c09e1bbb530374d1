"""The bridge between Slurm and the book: daemon, collectors, command line, configuration."""
