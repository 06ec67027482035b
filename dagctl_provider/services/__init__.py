"""What the doors, and the controller's turns, may ask for. Each module here is one family of use cases: a public function is
one request, which checks the right of its actor, owns its transaction and returns frozen records. ``tokens`` and
``organizations`` have no actor: they are asked while somebody signs in, and from a shell that reaches the database anyway.

The wings below serve them: ``lifecycle`` moves records inside a transaction that the caller owns, ``outside`` asks git, clusters
and servers, ``results`` holds what is returned. The wings above call them: ``showing`` reads for the pages, ``turns`` is what
the controller does by itself.
"""
