"""Imported first, keeps pandas out of a process: Arrow loads it wherever it finds it, which takes a
quarter of a second, and it is there for benchmarks alone."""

import sys


class NoPandas:
    """Finds everything but pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


sys.meta_path.insert(0, NoPandas())  # type: ignore[arg-type]
