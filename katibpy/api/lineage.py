"""How a Trial goes on from where another one ended: the label that names it, the setting that asks for it."""

from __future__ import annotations

CHECKPOINT_FROM_LABEL = "katib.kubeflow.org/checkpoint-from"
"""Label of a Trial that is to begin with a copy of another's checkpoint directory.

Its value is the name of that Trial, which has ended and belongs to the same Experiment. Algorithms put it
among `Proposal.labels`; runners make the copy before the Trial's first process starts. A Trial without it, or
whose parent left nothing, begins with an empty directory.
"""

CHECKPOINT_PATH_SETTING = "suggestion_trial_dir"
"""Algorithm setting with the absolute path at which each Trial sees its own checkpoint directory.

Trials have such a directory when the setting is given and not empty, whichever algorithm it belongs to.
"""

CHECKPOINT_VARIABLE = "KATIB_CHECKPOINT_DIR"
"""Environment variable with the path at which the Trial really has its checkpoint directory."""
