"""Jobs of several processes on this host: what each kind tells its replicas, and the program that keeps them.

`plan` and `launch` are the program, which needs the standard library alone; the other modules turn the kinds
of Kubeflow's training operator and trainer into plans. Only `katibpy.runners` may import it.
"""
