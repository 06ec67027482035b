"""Protected environments over REST."""
