"""Octo's command line: ``octo`` over REST, ``kubectl octo`` over the cluster's API. The commands are the same."""
