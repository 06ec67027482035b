"""Everything said to Kubernetes, by workers and by the API server: the only importer of its client.

A pod's life, one module each: found or started (``starting``), waited for (``awaiting``), followed (``following``), its result
read (``collecting``), and when that is reported, removed or kept (``tidying``). ``step_pod`` is the pod of which they speak, and
where a stop comes in between; ``removing`` ends one for certain.

What they stand on: what a pod is made from (``specs``, ``inputs``), how the cluster is asked (``clients``, ``cluster``), how a
log is read (``logs``), what a pod says of itself (``states``), and what may go wrong with it (``causes``). ``live_pods`` is for
the API server.
"""
