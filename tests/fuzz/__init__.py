"""Requests that nobody should make, at length: they learn nothing and change nothing."""
