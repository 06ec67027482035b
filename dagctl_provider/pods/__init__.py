"""Everything said to Kubernetes, by workers and by the API server: the only importer of its client.

What a pod is made from (``specs``, ``inputs``), how the cluster is asked (``cluster``), what may go wrong with it (``causes``),
how its log is followed (``logs``), and which pods are alive (``live_pods``).
"""
