"""Operators that run plan steps: one contract, two launchers."""
