"""What is made from the chart: pages and plain manifests."""
