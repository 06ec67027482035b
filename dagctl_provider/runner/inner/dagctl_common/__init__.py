"""What the programs of all tools share: how they talk to the outer program, are cancelled, and wait for each other."""
