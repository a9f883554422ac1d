"""Parts of `benchmarks/suggest_latency.py`: histories, the service that is measured, and peers."""
