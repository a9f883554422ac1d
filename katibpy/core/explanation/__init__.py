"""Why an Experiment or a Trial stands where it stands, told from facts that somebody else gathered. Pure.

Here belongs what follows from the facts: findings, their order, and what to do. Not here: reading stores and
files (`app`), and how findings are shown (`cli`). Imported by `app`, `cli` and `client`.
"""
