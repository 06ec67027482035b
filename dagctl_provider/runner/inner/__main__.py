"""Runs inside the tool's environment: ``<environment>/bin/python <this folder> job.json``.

Only the standard library and SQLMesh may be imported from here on; the package that holds this file is not installed there.
"""

import sys

from dagctl_sqlmesh.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
