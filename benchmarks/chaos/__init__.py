"""Kills of everything, while plans are made, decided and applied: what must hold afterwards."""
