"""Reading metrics from what trials write: parsers of formats, and what follows files and ships the values.

A collector implements `katibpy.ports.MetricsCollector` and takes no decision: what a value means for a trial
is the controller's. One parser per format, one row for each in `catalog`. Only `katibpy.app`,
`katibpy.testing` and what lies above them may import it; it knows no runner and no store.
"""
