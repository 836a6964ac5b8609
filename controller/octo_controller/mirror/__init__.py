"""Keeps Postgres level with the OctoJobs."""
