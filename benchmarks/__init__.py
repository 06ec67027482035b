"""Measurements on real processes, each a program: ``python -m benchmarks.<name>``. Results: ``docs/benchmarks.md``."""
