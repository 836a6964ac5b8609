"""``python -m deploy.demo up|down``: Octo on a cluster, a provider to fetch from, and a job that does."""
