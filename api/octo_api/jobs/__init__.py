"""OctoJobs over REST: created exactly once, read from Postgres."""
