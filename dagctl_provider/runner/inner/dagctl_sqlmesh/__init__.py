"""SQLMesh as explain, execute and run, over every version from 0.130 on; the version switches stand where they are needed."""
