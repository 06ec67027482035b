"""What the doors, and the controller's turns, may ask for. Each module here is one family of use cases: a public function is
one request, which checks the right, owns its transaction and returns frozen records.

The wings below serve them: ``lifecycle`` moves records inside a transaction that the caller owns, ``outside`` asks git, clusters
and servers, ``results`` holds what is returned. The wings above call them: ``showing`` reads for the pages, ``turns`` is what
the controller does by itself.
"""
