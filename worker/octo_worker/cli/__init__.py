"""``octo-worker run|plan|verify``: a provider's run on a laptop, by the same code that a pod runs.

Its input is the OctoProvider document that ``kubectl`` takes, and a folder of secrets in the shape in
which Kubernetes mounts them. Nothing here knows a cluster, and nothing in the rest of the worker knows
this package but ``__main__``.
"""
