"""Is the explanation any good: metrics, one runner for them, and a recommendation. No framework is imported here."""
