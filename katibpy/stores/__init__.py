"""Where resources and observations are kept: implementations of the two store ports.

Here belong the memory stores (the reference that the others are held against, and the public fake of
tests and simulations), the SQL stores and the state directory that locks one. What a resource means, or
what is done about it, does not. Only `app`, the composition root, and `testing` may import it.
"""
