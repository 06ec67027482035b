"""Use cases, one module per family. A public function here is one request: it checks rights, owns its transaction, and
returns plain records of :mod:`dagctl_provider.domain`."""
