"""What has been fetched of each provider, and what is to be fetched again."""
