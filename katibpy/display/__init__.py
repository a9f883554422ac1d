"""What people see of Experiments, wherever they look: values as text, progress, why trials fail.

Belongs here: what the command line and the Python client show alike, on terminals, in notebooks and in logs.
Does not belong here: tables and pages of one command, and anything that decides, stores or starts.
May be imported by: `katibpy.client`, `katibpy.cli`.
"""
