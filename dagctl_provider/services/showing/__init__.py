"""What the pages show: reads only, each one request with the right to read, in one transaction.

``live`` alone checks no right: it takes one picture for everybody, and the door has asked who listens.
"""
