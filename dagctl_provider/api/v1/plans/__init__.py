"""Plans: the operations of the Plans document."""
