from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment, ExperimentSpec, TrialTemplate
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.errors import InvalidResource
from katibpy.runners.gang.job import GangJob
from katibpy.runners.gang.roles import Meeting
from katibpy.runners.host_processes import HostProcesses, check_runnable
from katibpy.runners.local_job import Process, process_of

TEMPLATE = "spec.trialTemplate.trialSpec"
DIRECTORY = Path("/trials/default/gang-0123456789")
HERE = Path("/here")


def replica(count: int | str | None = None, *, name: str = "main", **fields: Any) -> dict[str, Any]:
    container = {"name": name, "image": "any", "command": ["train", "--at=$(MASTER_ADDR):$(MASTER_PORT)"]}
    for field in ("env", "resources", "args"):
        if field in fields:
            container[field] = fields.pop(field)
    found: dict[str, Any] = {"template": {"spec": {"containers": [container], **fields.pop("pod", {})}}}
    if count is not None:
        found["replicas"] = count
    return {**found, **fields}


def pytorch(roles: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    roles = {"Master": replica(), "Worker": replica(2)} if roles is None else roles
    return job("PyTorchJob", pytorchReplicaSpecs=roles, **spec)


def train_job(trainer: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    trainer = {"command": ["torchrun", "train.py"], "numNodes": 2, **(trainer or {})}
    spec = {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer, **spec}
    return job("TrainJob", "trainer.kubeflow.org/v1alpha1", **spec)


def job(kind: str, version: str = "kubeflow.org/v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "gang"}, "spec": spec}


def made(run_spec: dict[str, Any], *, primary: str = "main", labels: dict[str, str] | None = None) -> GangJob:
    trial = Trial(
        metadata=ObjectMeta(name="gang", uid="uid"),
        spec=TrialSpec(run_spec=run_spec, primary_container_name=primary, primary_pod_labels=labels or {}),
    )
    found = HostProcesses(HERE).job_of(trial, DIRECTORY)
    assert isinstance(found, GangJob)
    return found


def processes(gang: GangJob, meeting: Meeting) -> list[Process]:
    return [
        process_of(
            gang.trial,
            place.replica.shape,
            directory=place.directory,
            default_working_directory=HERE,
            told=place.told,
        )
        for place in gang.places(meeting)
    ]


def told(run_spec: dict[str, Any], *, primary: str = "main") -> dict[str, dict[str, str]]:
    gang = made(run_spec, primary=primary)
    meeting = Meeting(range(20001, 20001 + gang.port_count), DIRECTORY / "attempt-1")
    return {
        replica.name: {key: text for key, text in process.environment.items() if not key.startswith("KATIB_")}
        for replica, process in zip(gang.replicas, processes(gang, meeting), strict=True)
    }


def refused(run_spec: dict[str, Any], *, primary: str = "main", **template: Any) -> dict[str, str]:
    trial_template = TrialTemplate(trial_spec=run_spec, primary_container_name=primary, **template)
    experiment = with_defaults(Experiment(spec=ExperimentSpec(trial_template=trial_template)))
    return {error.path.removeprefix(f"{TEMPLATE}."): error.message for error in check_runnable(experiment)}


# PyTorchJob.


def test_a_pytorch_job_with_a_master_is_told_as_the_operator_tells_it() -> None:
    ranks = told(pytorch())
    assert list(ranks) == ["master-0", "worker-0", "worker-1"]
    for rank, (name, variables) in enumerate(ranks.items()):
        assert variables == {
            "PYTHONUNBUFFERED": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": "20001",
            "WORLD_SIZE": "3",
            "RANK": str(rank),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": "20001",
            "PET_NNODES": "3",
            "PET_NPROC_PER_NODE": "auto",
            "PET_NODE_RANK": str(rank),
        }, name


def test_processes_per_node_count_in_the_world() -> None:
    ranks = told(pytorch(nprocPerNode="4"))
    assert {(each["WORLD_SIZE"], each["PET_NPROC_PER_NODE"]) for each in ranks.values()} == {("12", "4")}


def test_commands_may_name_what_the_operator_tells() -> None:
    gang = made(pytorch())
    first = processes(gang, Meeting((20007,), DIRECTORY))[0]
    assert first.argv == ("train", "--at=127.0.0.1:20007")


def test_the_operators_word_wins_over_the_pods() -> None:
    mine = [{"name": "RANK", "value": "7"}, {"name": "OWN", "value": "kept"}]
    ranks = told(pytorch({"Master": replica(env=mine)}))
    assert (ranks["master-0"]["RANK"], ranks["master-0"]["OWN"]) == ("0", "kept")


def test_an_elastic_pytorch_job_meets_at_its_rendezvous() -> None:
    policy = {"minReplicas": 1, "maxReplicas": 3, "maxRestarts": 2, "nProcPerNode": 2, "rdzvId": "r"}
    policy["rdzvConf"] = [{"key": "timeout", "value": "5"}, {"key": "b", "value": "c"}]
    policy |= {"rdzvHost": "somewhere", "rdzvPort": 1}
    assert told(pytorch({"Worker": replica(2)}, elasticPolicy=policy))["worker-1"] == {
        "PYTHONUNBUFFERED": "1",
        "PET_RDZV_ENDPOINT": "127.0.0.1:20001",
        "PET_RDZV_BACKEND": "c10d",
        "PET_NNODES": "1:3",
        "PET_MAX_RESTARTS": "2",
        "PET_NPROC_PER_NODE": "2",
        "PET_RDZV_ID": "r",
        "PET_RDZV_CONF": "timeout=5,b=c",
    }


def test_an_external_rendezvous_is_left_where_it_is() -> None:
    policy = {"rdzvBackend": "etcd-v2", "rdzvHost": "etcd.example", "rdzvPort": 2379}
    variables = told(pytorch({"Worker": replica(2)}, elasticPolicy=policy))["worker-0"]
    assert variables["PET_RDZV_ENDPOINT"] == "etcd.example:2379"
    assert variables["PET_NNODES"] == "2"


def test_the_primary_replica_is_the_one_with_the_labels() -> None:
    role, number = "training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index"
    assert made(pytorch()).primary.name == "master-0"
    assert made(pytorch(), labels={"training.kubeflow.org/job-role": "master"}).primary.name == "master-0"
    assert made(pytorch(), labels={role: "worker", number: "1"}).primary.name == "worker-1"
    marked = {"Master": replica(), "Worker": replica(2)}
    marked["Worker"]["template"]["metadata"] = {"labels": {"reports": "yes"}}
    assert made(pytorch(marked), labels={"reports": "yes"}).primary.name == "worker-0"
    assert refused(pytorch(), primary_pod_labels={role: "nobody"}).keys() == {
        "spec.trialTemplate.primaryPodLabels"
    }


def test_each_replica_has_its_own_output_and_volumes() -> None:
    shared = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    roles = {}
    for title in ("Master", "Worker"):
        role = replica(args=["/no-such-scratch/x"], pod=shared)
        container = role["template"]["spec"]["containers"][0]
        container["volumeMounts"] = [{"name": "scratch", "mountPath": "/no-such-scratch"}]
        roles[title] = role
    gang = made(pytorch(roles))
    assert [place.output for place in gang.rehearsal()] == [None, DIRECTORY / "replica-worker-0.log"]
    assert [each.argv[-1] for each in processes(gang, Meeting((1,), DIRECTORY))] == [
        str(DIRECTORY / "volumes/scratch/x"),
        str(DIRECTORY / "replica-worker-0/volumes/scratch/x"),
    ]


@pytest.mark.parametrize(
    ("policy", "limit", "expected"),
    [
        (None, None, (6, 1)),
        ("OnFailure", 2, (2, 1)),
        ("Always", 1, (1, 1)),
        ("ExitCode", 3, (3, 128)),
        ("Never", 4, (0, 1)),
    ],
)
def test_restart_policy_and_backoff_limit_say_how_often_it_is_tried(
    policy: str | None, limit: int | None, expected: tuple[int, int]
) -> None:
    role = replica() if policy is None else replica(restartPolicy=policy)
    gang = made(pytorch({"Master": role}, runPolicy={"backoffLimit": limit, "activeDeadlineSeconds": 60}))
    assert (gang.backoff_limit, gang.least_retried_code) == expected
    assert gang.deadline_seconds == 60


def test_what_all_replicas_ask_for_is_asked_for_at_once() -> None:
    small = {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": 1}}
    large = {"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": 2}}
    roles = {"Master": replica(resources=small), "Worker": replica(3, resources=large)}
    demand = made(pytorch(roles)).demand
    assert (demand.gpus, demand.cpu, demand.memory_limit) == (7, 3500, 7 << 30)


def test_counts_may_be_parameters() -> None:
    open_ = pytorch({"Master": replica(), "Worker": replica("${trialParameters.workers}")})
    assert refused(open_) == {}
    assert list(told(pytorch({"Master": replica(), "Worker": replica("2")}))) == [
        "master-0",
        "worker-0",
        "worker-1",
    ]
    assert list(told(pytorch({"Master": replica(), "Worker": replica(0)}))) == ["master-0"]


def test_all_that_cannot_be_honoured_is_named_at_once() -> None:
    odd = {
        "Master": replica(2, restartPolicy="Never"),
        "Worker": replica(-1, restartPolicy="Sometimes", surplus=1, pod={"initContainers": [{"name": "x"}]}),
        "Boss": replica(),
    }
    found = refused(pytorch(odd, runPolicy={"suspend": True, "cleanPodPolicy": "All"}, nprocPerNode="many"))
    roles = "spec.pytorchReplicaSpecs"
    assert found.keys() == {
        "spec.nprocPerNode",
        "spec.runPolicy.suspend",
        f"{roles}.Boss",
        f"{roles}.Master.replicas",
        f"{roles}.Worker.replicas",
        f"{roles}.Worker.restartPolicy",
        f"{roles}.Worker.surplus",
        f"{roles}.Worker.template.spec.initContainers",
        roles,
    }
    assert found[f"{roles}.Master.replicas"] == "must be at most 1, got 2"
    assert "must have the same restartPolicy everywhere" in found[roles]


def test_a_job_without_roles_is_refused() -> None:
    assert refused(job("PyTorchJob")).keys() == {"spec.pytorchReplicaSpecs"}
    assert refused(pytorch({"Worker": replica(0)})) == {"spec": "must have at least one replica"}
    with pytest.raises(InvalidResource, match="at least one of Master, Worker"):
        made(job("PyTorchJob", pytorchReplicaSpecs={}))


def test_the_primary_container_is_that_of_the_primary_replica() -> None:
    roles = {"Master": replica(name="pytorch"), "Worker": replica(name="helper")}
    assert refused(pytorch(roles), primary="pytorch") == {}
    assert refused(pytorch(roles), primary="helper").keys() == {"spec.trialTemplate.primaryContainerName"}


# TrainJob.


def test_a_train_job_is_told_what_torchrun_reads() -> None:
    assert told(train_job(), primary="node")["node-1"] == {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "auto",
        "PET_NODE_RANK": "1",
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": "20001",
        "JOB_COMPLETION_INDEX": "1",
    }


@pytest.mark.parametrize(
    ("wanted", "limits", "expected"),
    [
        (None, None, "auto"),
        (3, {"cpu": "8"}, "3"),
        ("auto", {"cpu": "1500m"}, "2"),
        ("auto", {"cpu": "4", "nvidia.com/gpu": 2}, "auto"),
        ("gpu", {"cpu": "4"}, "gpu"),
        ("cpu", {"cpu": "4", "nvidia.com/gpu": 2}, "4"),
    ],
)
def test_processes_per_node_follow_from_resources(
    wanted: Any, limits: dict[str, Any] | None, expected: str
) -> None:
    trainer: dict[str, Any] = {} if wanted is None else {"numProcPerNode": wanted}
    if limits is not None:
        trainer["resourcesPerNode"] = {"limits": limits}
    assert told(train_job(trainer), primary="node")["node-0"]["PET_NPROC_PER_NODE"] == expected


def test_the_default_labels_of_a_train_job_are_those_of_its_first_node() -> None:
    labels = {
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-completion-index": "0",
    }
    assert made(train_job(), primary="node", labels=labels).primary.name == "node-0"


def test_another_runtime_is_refused_and_says_which_there_are() -> None:
    found = refused(train_job(runtimeRef={"name": "torchtune-llama"}), primary="node")
    assert list(found) == ["spec.runtimeRef.name"]
    assert "must be torch-distributed on this host, got 'torchtune-llama'" in found["spec.runtimeRef.name"]


def test_what_a_train_job_cannot_have_here_is_named() -> None:
    trainer = {"env": [{"name": "PET_NNODES", "value": "3"}], "numNodes": 0, "numProcPerNode": "some"}
    spec = train_job(trainer, initializer={"model": {}}, podTemplateOverrides=[{}], suspend=True)
    assert refused(spec, primary="node").keys() == {
        "spec.initializer",
        "spec.podTemplateOverrides",
        "spec.suspend",
        "spec.trainer.numNodes",
        "spec.trainer.numProcPerNode",
        "spec.trainer.env[0].name",
    }
    assert refused(train_job({"command": None}), primary="node").keys() == {"spec.trainer.command"}
    assert refused(train_job(), primary="other").keys() == {"spec.trialTemplate.primaryContainerName"}


# The others.


def test_a_tf_job_is_told_of_its_cluster() -> None:
    roles = {"Chief": replica(), "Worker": replica(2), "PS": replica(), "Evaluator": replica()}
    run_spec = job("TFJob", tfReplicaSpecs=roles)
    ranks = {name: json.loads(each["TF_CONFIG"]) for name, each in told(run_spec).items()}
    assert list(ranks) == ["chief-0", "worker-0", "worker-1", "ps-0", "evaluator-0"]
    assert ranks["worker-1"] == {
        "cluster": {
            "chief": ["127.0.0.1:20001"],
            "worker": ["127.0.0.1:20002", "127.0.0.1:20003"],
            "ps": ["127.0.0.1:20004"],
        },
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }
    assert ranks["evaluator-0"]["task"] == {"type": "evaluator", "index": 0}
    leads = {each.role.name: (each.role.leads, each.role.serves) for each in made(run_spec).replicas}
    assert leads == {
        "chief": (True, False),
        "worker": (False, False),
        "ps": (False, True),
        "evaluator": (False, True),
    }


def test_a_tf_job_alone_is_told_nothing() -> None:
    assert told(job("TFJob", tfReplicaSpecs={"Worker": replica()}))["worker-0"] == {}


def test_all_workers_of_a_tf_job_lead_when_it_says_so() -> None:
    roles = {"Chief": replica(), "Worker": replica(2)}
    gang = made(job("TFJob", tfReplicaSpecs=roles, successPolicy="AllWorkers"))
    assert [each.role.leads for each in gang.replicas] == [True, True, True]


def test_an_xgboost_job_is_told_of_its_tracker_and_workers() -> None:
    roles = {"Master": replica(), "Worker": replica(2)}
    ranks = told(job("XGBoostJob", xgbReplicaSpecs=roles))
    assert ranks["worker-1"] == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "20001",
        "WORLD_SIZE": "3",
        "RANK": "2",
        "WORKER_PORT": "20002",
        "WORKER_ADDRS": "127.0.0.1,127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }


def test_an_mpi_job_runs_its_launcher_with_a_host_file() -> None:
    limits = {"limits": {"cpu": "2"}}
    worker = {"template": {"spec": {"containers": [{"name": "worker", "resources": limits}]}}, "replicas": 3}
    run_spec = job("MPIJob", mpiReplicaSpecs={"Launcher": replica(), "Worker": worker}, slotsPerWorker=2)
    gang = made(run_spec, labels={"mpi-job-role": "launcher"})
    assert gang.files == {"hostfile": "localhost slots=6\n"}
    assert gang.demand.cpu == 6000
    variables = told(run_spec)
    assert list(variables) == ["launcher-0"]
    hosts = str(DIRECTORY / "attempt-1/hostfile")
    assert variables["launcher-0"]["OMPI_MCA_orte_default_hostfile"] == hosts


def test_an_mpi_job_without_mpirun_is_refused_with_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such/directory")
    launcher = replica()
    launcher["template"]["spec"]["containers"][0]["command"] = ["mpirun", "-np", "2", "python", "train.py"]
    found = refused(job("MPIJob", mpiReplicaSpecs={"Launcher": launcher}))
    (path,) = found
    assert path == "spec.mpiReplicaSpecs.Launcher.template.spec.containers[0].command"
    assert "mpirun is not installed on this host" in found[path]
    assert refused(job("MPIJob", mpiReplicaSpecs={"Worker": replica()})).keys() >= {
        "spec.mpiReplicaSpecs.Launcher"
    }
