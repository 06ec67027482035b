"""Jobs and what a run of one can be asked: the operations of the Jobs document."""
