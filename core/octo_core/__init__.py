"""What all parts of Octo share."""
