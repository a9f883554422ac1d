"""`katib serve-algorithms` as other programs see it, and `katib conformance` against it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
import yaml

from katibpy.algo.algorithm import Proposal
from katibpy.core.endpoints import Endpoint, Security
from katibpy.errors import ServiceError
from katibpy.launchers.fixed import FixedLauncher
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.probing import answers
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from tests.integration.cli_process import CommandLine
from tests.integration.command_here import AlgorithmAddress, CommandHere
from tests.unit.cli.documents import experiment_file
from tests.unit.rpc.parts import call, experiment

SUGGESTION = "api.v1.beta1.Suggestion"


@pytest.fixture
def served(algorithms: AlgorithmAddress) -> str:
    """The address of a running `katib serve-algorithms`."""
    return algorithms.address


def _address(line: str) -> str:
    found = re.search(r"127\.0\.0\.1:\d+", line)
    assert found is not None, line
    return found[0]


def _katibs_request(name: str) -> pb.Experiment:
    """What Katib's controller sends: no field beyond its contract."""
    parameter = pb.ParameterSpec(
        name="x",
        parameter_type=pb.DOUBLE,
        feasible_space=pb.FeasibleSpace(min="0.1", max="0.9", distribution=pb.UNIFORM),
    )
    return pb.Experiment(
        name="from-katib",
        spec=pb.ExperimentSpec(
            parameter_specs=pb.ExperimentSpec.ParameterSpecs(parameters=[parameter]),
            objective=pb.ObjectiveSpec(type=pb.MINIMIZE, objective_metric_name="loss"),
            algorithm=pb.AlgorithmSpec(algorithm_name=name),
            parallel_trial_count=3,
            max_trial_count=12,
        ),
    )


def test_a_client_of_katibs_gets_proposals_and_validation(served: str) -> None:
    with grpc.insecure_channel(served) as channel:
        suggest = channel.unary_unary(
            f"/{SUGGESTION}/GetSuggestions",
            request_serializer=pb.GetSuggestionsRequest.SerializeToString,
            response_deserializer=pb.GetSuggestionsReply.FromString,
        )
        validate = channel.unary_unary(
            f"/{SUGGESTION}/ValidateAlgorithmSettings",
            request_serializer=pb.ValidateAlgorithmSettingsRequest.SerializeToString,
            response_deserializer=pb.ValidateAlgorithmSettingsReply.FromString,
        )
        validate(pb.ValidateAlgorithmSettingsRequest(experiment=_katibs_request("random")), timeout=10)
        request = pb.GetSuggestionsRequest(
            experiment=_katibs_request("random"), current_request_number=3, total_request_number=3
        )
        reply: pb.GetSuggestionsReply = suggest(request, timeout=10)
        values = [each.assignments[0].value for each in reply.parameter_assignments]
        assert len(set(values)) == 3
        assert all(0.1 <= float(value) <= 0.9 for value in values)
        for name, said in (("rondom", "did you mean 'random'"), ("grid", "parameter x must have a step")):
            with pytest.raises(grpc.RpcError) as refused:
                validate(pb.ValidateAlgorithmSettingsRequest(experiment=_katibs_request(name)), timeout=10)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert said in (refused.value.details() or "")
    assert answers(served, 4.0)


def test_an_experiment_runs_with_an_algorithm_at_an_address(served: str, tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    entry = {"algorithmName": "sobol", "address": served}
    (tmp_path / ".katib").mkdir()
    (tmp_path / ".katib" / "config.yaml").write_text(yaml.safe_dump({"suggestions": [entry]}))
    ended = katib("run", experiment_file(tmp_path, algorithm="sobol"), "-o", "name")
    assert ended.code == 0, ended


def test_conformance_reports_every_promise_of_a_service(served: str, tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    words = ("conformance", served, "--algorithm-name", "grid")
    told = katib.ask(*words, "--promise", "gives-what-is-asked-for", "--promise", "the-seed-counts")
    assert told.code == 0, told
    first, *lines = told.stdout.splitlines()
    assert first == f"grid, from {served}"
    assert lines[0] == (
        "KEPT    A reply has as many proposals as were asked for; fewer only at the end of the search."
    )
    assert lines[-1].startswith("2 promises kept, 0 broken, 0 do not apply, in ")
    document = json.loads(katib.ask(*words, "--promise", "the-seed-counts", "-o", "json").stdout)
    assert document["extended"] is True
    assert [(each["name"], each["verdict"]) for each in document["results"]] == [("the-seed-counts", "kept")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("127.0.0.1:1",), "there is nobody to ask: the algorithm service at 127.0.0.1:1 cannot be reached"),
        (("rondom",), "did you mean 'random'"),
        (("random", "--promise", "the-seed-count"), "did you mean 'the-seed-counts'"),
        (("random", "--settings", "eta"), "must be KEY=VALUE, got 'eta'"),
        (("random", "--settings", "eta=3"), "nothing can be asked: it refuses such an Experiment"),
    ],
)
def test_conformance_says_when_there_is_nobody_to_ask(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    told = CommandLine(tmp_path).ask("conformance", *words)
    assert told.code == 2, told
    assert said in told.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for this machine, its key and a token."""
    folder = tmp_path_factory.mktemp("certificate")
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    (folder / "token").write_text("secret\n")
    return folder


def test_with_tls_only_who_has_the_token_is_answered(
    certificate: Path, tmp_path: Path, here: CommandHere
) -> None:
    katib = CommandLine(tmp_path)
    files = [certificate / name for name in ("cert.pem", "key.pem", "token")]
    words = ("--tls-cert", files[0], "--tls-key", files[1], "--token-file", files[2])
    with katib.start("serve-algorithms", "--address", "127.0.0.1:0", *words) as running:
        address = _address(running.said("Listening on"))
        authority = files[0].read_bytes()
        with_token, without = Security(authority, "secret"), Security(authority)
        assert len(_asked(address, with_token)) == 2
        for security, said in (
            (without, "UNAUTHENTICATED"),
            (Security(authority, "guess"), "UNAUTHENTICATED"),
            (None, "cannot be reached"),
        ):
            with pytest.raises(ServiceError, match=said):
                _asked(address, security)
        assert answers(address, 4.0, security=without), "probes have no token"
        entry = {
            "algorithmName": "random",
            "address": address,
            "tls": {"caFile": str(files[0])},
            "tokenFile": str(files[2]),
        }
        (tmp_path / "machine.yaml").write_text(yaml.safe_dump({"suggestions": [entry]}))
        ended = here("run", experiment_file(tmp_path), "--config", "machine.yaml", "-o", "name")
        assert ended.code == 0, ended


def _asked(address: str, security: Security | None) -> tuple[Proposal, ...]:
    gateway = GrpcSuggestionGateway(FixedLauncher({}, otherwise=Endpoint(address, security=security)))
    try:
        return gateway.suggest(call(experiment(), seconds=3)).proposals
    finally:
        gateway.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--address", "0.0.0.0:0"), "without TLS and a token is served on loopback or a Unix socket only"),
        (("--address", "0.0.0.0:0", "tls"), "without TLS and a token"),
        (("--tls-cert", "cert.pem"), "TLS needs a certificate and its key"),
        (("--token-file", "token"), "a token needs TLS"),
    ],
)
def test_what_is_not_safe_is_not_served(
    words: tuple[str, ...], said: str, certificate: Path, tmp_path: Path
) -> None:
    if "tls" in words:
        words = (*words[:-1], "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    for name in ("cert.pem", "key.pem", "token"):
        shutil.copy(certificate / name, tmp_path / name)
    ended = CommandLine(tmp_path)("serve-algorithms", *words)
    assert ended.code == 2
    assert said in ended.stderr
