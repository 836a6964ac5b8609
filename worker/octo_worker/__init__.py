"""Octo worker: the main logic in the pod of a run."""
