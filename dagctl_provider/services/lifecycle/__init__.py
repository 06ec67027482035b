"""Moves of plans, runs and projects that several use cases share.

What writes takes the session of its caller, who commits. Where a project's state moves, the caller holds the project's row, or
the function takes it first and says so. No rights are checked here, with one exception: what is looked up for an actor is what
the actor may see.
"""
