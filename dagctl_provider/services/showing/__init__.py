"""What the pages show: reads only, each one request with the right to read, in one transaction."""
