"""Projects and their runs: the operations of the Projects document."""
