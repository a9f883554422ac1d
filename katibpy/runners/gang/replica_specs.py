"""The kinds of Kubeflow's training operator: roles with their replicas, and a run policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from katibpy.errors import FieldError
from katibpy.runners.gang.roles import Meeting, Replica, Retries, Role
from katibpy.runners.job_fields import PodRules, Rule, at_least, only, refused, taken, unfit, whole_number
from katibpy.runners.job_shape import OBJECT_FIELDS, TEMPLATE_FIELDS, pod_problems, shape_at

JOB_ROLE_LABEL = "training.kubeflow.org/job-role"
REPLICA_TYPE_LABEL = "training.kubeflow.org/replica-type"
REPLICA_INDEX_LABEL = "training.kubeflow.org/replica-index"

_POLICIES = ("Never", "OnFailure", "Always", "ExitCode")
_LEAST_TRANSIENT_CODE = 128

RUN_POLICY_FIELDS: Mapping[str, Rule] = {
    "activeDeadlineSeconds": at_least(1),
    "backoffLimit": at_least(0),
    # Replicas start together, and none is left, whatever these say.
    "cleanPodPolicy": taken,
    "schedulingPolicy": taken,
    "ttlSecondsAfterFinished": taken,
    "suspend": refused("a suspended job would never start"),
    "managedBy": refused("only the local runner manages jobs on this host"),
}

_REPLICA_FIELDS: Mapping[str, Rule] = {
    "replicas": at_least(0),
    "restartPolicy": only(*_POLICIES),
    "template": taken,
    "scale": refused("the number of processes is fixed on this host; use replicas"),
}


@dataclass(frozen=True, slots=True)
class Title:
    """A role that a kind knows.

    Attributes:
        text: as it is written in YAML.
        serves: whether its replicas never end by themselves.
        most: how many there may be, None for any number.
    """

    text: str
    serves: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSpecs:
    """A kind that is a mapping of roles. Implements `GangKind`.

    Attributes:
        versions: the API versions in which it is known.
        section: the field with the roles.
        titles: the roles, the one with rank 0 first.
        fields: rules for the other fields of `spec`.
        restart_policy: of replicas that do not say.
        meet: environment of a replica.
        count_ports: how many free ports there must be.
        lead: which roles lead, when it is not all that end by themselves.
        job_files: files for the attempt's directory.
        further_problems: rules of this kind alone.
    """

    versions: frozenset[str]
    section: str
    titles: Sequence[Title]
    fields: Mapping[str, Rule]
    restart_policy: str
    meet: Callable[[Mapping[str, Any], Sequence[Replica], Replica, Meeting], dict[str, str]]
    count_ports: Callable[[Sequence[Replica]], int] = lambda replicas: 1
    lead: Callable[[Mapping[str, Any], Sequence[str]], Sequence[str]] = lambda spec, present: present[:1]
    job_files: Callable[[Mapping[str, Any], Sequence[Replica]], Mapping[str, str]] = lambda job, replicas: {}
    further_problems: Callable[[Mapping[str, Any], Sequence[Role], str], Iterator[FieldError]] = field(
        default=lambda job, roles, path: iter(())
    )

    def problems(self, job: Mapping[str, Any], path: str, rules: PodRules) -> Iterator[FieldError]:
        """What cannot be honoured, each by its path."""
        yield from unfit(job, path, OBJECT_FIELDS)
        spec, where = _mapping(job.get("spec")), f"{path}.spec"
        fields = {**self.fields, self.section: taken, "runPolicy": taken}
        yield from unfit(job.get("spec"), where, fields)
        yield from unfit(spec.get("runPolicy"), f"{where}.runPolicy", RUN_POLICY_FIELDS)
        section, where = spec.get(self.section), f"{where}.{self.section}"
        if not isinstance(section, Mapping) or not section:
            yield FieldError(where, f"must name at least one of {self._known}, got {section!r}")
            return
        for title in section:
            if title not in {each.text for each in self.titles}:
                yield FieldError(f"{where}.{title}", f"must be one of {self._known}")
        for title in self.titles:
            if title.text in section:
                yield from self._role_problems(section[title.text], title, f"{where}.{title.text}")
        roles = self.roles(job, "")
        for role in roles:
            # Only one of the roles has the primary container.
            yield from pod_problems(role.shape, "", path, rules)
        policies = {self._policy(spec, title.text) for title in self.titles if title.text in section}
        if len(policies) > 1:
            yield FieldError(
                where,
                "must have the same restartPolicy everywhere, since on this host all replicas fail and start "
                f"again together, got {', '.join(sorted(policies))}",
            )
        yield from self.further_problems(job, roles, path)

    def roles(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """The roles that have replicas."""
        spec = _mapping(job.get("spec"))
        section = _mapping(spec.get(self.section))
        present = [title for title in self.titles if title.text in section]
        leading = self.lead(spec, [title.text for title in present if not title.serves])
        found: list[Role] = []
        for title in present:
            count = _count(section[title.text])
            if not count:
                continue
            labels = {REPLICA_TYPE_LABEL: title.text.lower()}
            if not found:
                labels[JOB_ROLE_LABEL] = "master"
            found.append(
                Role(
                    title=title.text,
                    count=count,
                    shape=shape_at(job, f"spec.{self.section}.{title.text}.template", primary_container_name),
                    labels=labels,
                    index_label=REPLICA_INDEX_LABEL,
                    leads=title.text in leading,
                    serves=title.serves,
                )
            )
        return tuple(found)

    def pods(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """All that have replicas."""
        return ReplicaSpecs.roles(self, job, primary_container_name)

    def retries(self, job: Mapping[str, Any]) -> Retries:
        """How often: never with restartPolicy Never, else as `backoffLimit` says."""
        spec = _mapping(job.get("spec"))
        policy = _mapping(spec.get("runPolicy"))
        titles = [title.text for title in self.titles if title.text in _mapping(spec.get(self.section))]
        restart = self._policy(spec, titles[0]) if titles else self.restart_policy
        return Retries(
            backoff_limit=0 if restart == "Never" else whole_number(policy.get("backoffLimit")),
            least_code=_LEAST_TRANSIENT_CODE if restart == "ExitCode" else 1,
            deadline_seconds=whole_number(policy.get("activeDeadlineSeconds")),
        )

    def port_count(self, replicas: Sequence[Replica]) -> int:
        """How many free ports its processes need."""
        return self.count_ports(replicas)

    def told(
        self, job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
    ) -> dict[str, str]:
        """The environment by which a replica knows its place."""
        return self.meet(job, replicas, replica, meeting)

    def files(self, job: Mapping[str, Any], replicas: Sequence[Replica]) -> Mapping[str, str]:
        """Files that the attempt's directory must have, by name."""
        return self.job_files(job, replicas)

    @property
    def _known(self) -> str:
        return ", ".join(title.text for title in self.titles)

    def _policy(self, spec: Mapping[str, Any], title: str) -> str:
        replica = _mapping(_mapping(spec.get(self.section)).get(title))
        return str(replica.get("restartPolicy") or self.restart_policy)

    def _role_problems(self, replica: Any, title: Title, path: str) -> Iterator[FieldError]:
        yield from unfit(replica, path, _REPLICA_FIELDS)
        fields = _mapping(replica)
        yield from unfit(fields.get("template"), f"{path}.template", TEMPLATE_FIELDS)
        if title.most is not None and _count(fields) > title.most:
            yield FieldError(f"{path}.replicas", f"must be at most {title.most}, got {fields['replicas']}")


def _count(replica: Any) -> int:
    value = _mapping(replica).get("replicas")
    if value is None:
        return 1
    count = whole_number(value)
    return 1 if count is None else count


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
