"""Moves of plans, runs and projects that several use cases share.

Each takes the session of its caller, who holds the project's row and commits. No rights are checked here, with one exception:
what is looked up for an actor is what the actor may see.
"""
