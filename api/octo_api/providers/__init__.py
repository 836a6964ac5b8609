"""OctoProviders over REST."""
