"""Octo's custom resources as Kubernetes sees them: coordinates, documents, and their definitions.

The models in ``octo_core.domain`` are the one source; ``definitions`` makes the CRDs in ``crds/`` from
them (``make crds``), and a test fails when the two differ.
"""
