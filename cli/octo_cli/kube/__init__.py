"""Octo by the cluster's API: what its custom resources and pods say."""
