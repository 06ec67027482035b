"""What the controller does by itself, turn by turn: nobody waits for it and no right is checked. Only the controller calls it."""
