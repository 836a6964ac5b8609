"""The controller's engine: a cache, a work queue and a resync. It knows no noun of Octo."""
