"""Everything said to git, and the only importer of GitPython.

Repositories belong to other people. Nothing here checks out, runs a hook or executes anything of theirs; each git process
gets an environment of its own, a time limit and a size limit, and no host is contacted before it was judged.
"""
