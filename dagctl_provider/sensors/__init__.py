"""Sensors: the gate between explain and execute."""
