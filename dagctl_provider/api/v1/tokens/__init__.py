"""API tokens over REST: made, listed, rotated and revoked."""
