"""What is measured: Octo's worker and those that it is measured against, each as a command line."""
