"""Benchmarks: they print figures and never fail. Run them all with `python -m tests.bench`."""
