"""What a reply of an algorithm service must be, so that its proposals can become trials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.api.feasible import combinations, feasible_text
from katibpy.errors import BadReply

_TRIAL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 63
_SHOWN_PROBLEMS = 5


def checked_reply(reply: Reply, experiment: Experiment, *, wanted: int, exactly: bool) -> Reply:
    """The reply of a peer, if its proposals can become trials of the Experiment, spelt as these want it.

    Args:
        reply: what the peer said.
        experiment: whose parameters each proposal must cover.
        wanted: how many proposals were asked for.
        exactly: whether fewer break the contract.

    Raises:
        BadReply: how many there are, or what is wrong with which of them.
    """
    count = len(reply.proposals)
    if count > wanted or (exactly and count != wanted):
        rule = "exactly" if exactly else "at most"
        raise BadReply(f"the algorithm service must answer {rule} {wanted} proposals, got {count}")
    parameters = {parameter.name: parameter for parameter in experiment.spec.parameters}
    is_closed = experiment.spec.nas_config is None
    checked, wrong = list[Proposal](), list[str]()
    for place, proposal in enumerate(reply.proposals):
        assignment, problems = _checked(proposal, parameters, is_closed=is_closed)
        wrong += [f"proposal {place}: {problem}" for problem in problems]
        checked.append(replace(proposal, assignment=assignment))
    wrong = wrong or _doubles(checked, wanted, experiment)
    if wrong:
        more = f"; and {len(wrong) - _SHOWN_PROBLEMS} more" if len(wrong) > _SHOWN_PROBLEMS else ""
        shown = "; ".join(wrong[:_SHOWN_PROBLEMS])
        raise BadReply(f"the algorithm service gave proposals that cannot be tried: {shown}{more}")
    return replace(reply, proposals=tuple(checked))


def _checked(
    proposal: Proposal, parameters: Mapping[str, ParameterSpec], *, is_closed: bool
) -> tuple[dict[str, str], list[str]]:
    """The assignment as a Trial gets it, and what is wrong with the proposal."""
    texts, wrong = dict(proposal.assignment), list[str]()
    for name, parameter in parameters.items():
        if name not in texts:
            wrong.append(f"parameter {name} is missing")
            continue
        try:
            texts[name] = feasible_text(parameter, texts[name])
        except ValueError as error:
            wrong.append(f"parameter {name} {error}")
    if is_closed:
        wrong += [f"there is no parameter {name}" for name in texts if name not in parameters]
    given = proposal.trial_name
    if given is not None and (not _TRIAL_NAME.fullmatch(given) or len(given) > _LONGEST_NAME):
        wrong.append(
            f"the trial name must be up to {_LONGEST_NAME} lower case letters, digits and '-', got {given!r}"
        )
    return texts, wrong


def _doubles(proposals: Sequence[Proposal], wanted: int, experiment: Experiment) -> list[str]:
    """Proposals that cannot be told from one before.

    To try something several times on purpose, an algorithm gives the trials names or labels that differ.
    Where there are fewer assignments than are wanted at once, equal ones cannot be helped.
    """
    found, names, seen = list[str](), dict[str, int](), dict[object, int]()
    is_open = experiment.spec.nas_config is not None
    for place, proposal in enumerate(proposals):
        if proposal.trial_name is not None:
            first = names.setdefault(proposal.trial_name, place)
            if first != place:
                found.append(f"proposals {first} and {place} have one trial name, {proposal.trial_name}")
            continue
        key = (frozenset(proposal.assignment.items()), frozenset(proposal.labels.items()))
        first = seen.setdefault(key, place)
        if first != place and not is_open and combinations(experiment.spec.parameters) >= wanted:
            found.append(f"proposals {first} and {place} are equal: {_shown(proposal.assignment)}")
    return found


def _shown(assignment: Mapping[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in assignment.items())[:200]
