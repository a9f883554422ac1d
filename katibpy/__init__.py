"""katibpy tunes hyperparameters and searches neural architectures.

Belongs here: the version of the distribution, and nothing else.
Does not belong here: logic or re-exports; import from the modules below.
May be imported by: everyone.
"""

__version__ = "0.1.0"
