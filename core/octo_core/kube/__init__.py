"""The Kubernetes API: the only place that imports its client. Objects stay raw dicts (parsing the client's
models costs thirty times as much as ``json.loads``)."""
