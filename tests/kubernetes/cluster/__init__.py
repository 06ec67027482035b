"""A Kubernetes of one node for tests: its API over HTTP, and pods that run as processes of this machine.

The operators under test talk to it through the unchanged ``kubernetes`` client. Libraries that imitate the API (kmock,
mockernetes) keep objects, but run nothing: no selectors, logs, exec, grace periods or events of a kubelet, which is
what a pod operator is made of. So this one is written on aiohttp:

``objects``     what etcd and the watch cache do: objects, versions, selectors, patches, garbage collection
``admission``   defaults and refusals of the API server for pods
``api``         paths, verbs, errors, who may do what
``kubelet``     a pod's life, told in the words of kubelet and scheduler
``images``      which images can be pulled, and how it sounds when one cannot
``containers``  one container: process, log, signals, termination message
``inside``      the program that makes a container's namespaces and becomes its command
``streams``     logs that follow, exec over WebSocket

It is its own process (``python -m tests.kubernetes.cluster``), so that it outlives workers that a test kills.
"""
