"""The door to the cluster: kopf watches, and each event goes straight on. Nothing is decided here."""
