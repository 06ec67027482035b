"""The ticking part: runs inside the API server, one leader at a time."""
