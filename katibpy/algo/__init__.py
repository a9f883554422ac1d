"""What an algorithm is: search space, history, settings, and the interface of search algorithms.

Pure: no I/O, no clock, no logging; randomness only through the generator handed in. Algorithms
themselves live in `suggestion_services`, `early_stopping` and `nas`, which may import this package,
`katibpy.api`, `katibpy.catalog` and `katibpy.errors`, and nothing else of katibpy.
"""
