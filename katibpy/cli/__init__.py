"""The `katib` command.

Belongs here: commands, what they print and the exit codes they end with; one file for each command.
Does not belong here: anything that decides or stores; that is called through `katibpy.app` and the ports.
May be imported by: nobody; `katibpy.cli.main:main` is the entry point. Commands are loaded when they are
called, so that `katib --help` imports none of the parts below.
"""
