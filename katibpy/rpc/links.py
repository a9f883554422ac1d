"""Channels to algorithm services, and what was learnt about the service at each end."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from katibpy.algo.algorithm import Reads
from katibpy.core.endpoints import Endpoint, Security
from katibpy.errors import DeadlineExceeded, ServiceUnavailable
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.channels import channel_to
from katibpy.rpc.error_codes import raised
from katibpy.rpc.names import KATIB_PACKAGE

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


@dataclass(slots=True)
class Peer:
    """What a service said about itself and one Experiment, and what it has been told.

    Attributes:
        is_extended: it knows our extension fields.
        reads: which part of the history it wants.
        takes_differences: it keeps histories by token.
        token: the history that it holds, None when it may hold none.
    """

    is_extended: bool
    reads: Reads
    takes_differences: bool = False
    token: str | None = None


class Link:
    """A channel to one address.

    Attributes:
        address: gRPC target.
        security: how the connection is made safe.
        peers: what was learnt, by Experiment uid.
    """

    def __init__(self, address: str, security: Security | None = None) -> None:
        self.address = address
        self.security = security
        self.peers: dict[str, Peer] = {}
        self._channel = channel_to(address, security)

    def get_suggestions(
        self, request: pb.GetSuggestionsRequest, timeout_seconds: float
    ) -> pb.GetSuggestionsReply:
        """Calls the method of that name; raises InputError or ServiceError."""
        return self._call("GetSuggestions", request, pb.GetSuggestionsReply, timeout_seconds)

    def validate(self, request: pb.ValidateAlgorithmSettingsRequest, timeout_seconds: float) -> None:
        """Calls ValidateAlgorithmSettings; raises InputError or ServiceError."""
        self._call("ValidateAlgorithmSettings", request, pb.ValidateAlgorithmSettingsReply, timeout_seconds)

    def describe(self, request: pb.DescribeRequest, timeout_seconds: float) -> pb.DescribeReply:
        """Calls the method of that name; raises InputError or ServiceError."""
        return self._call("Describe", request, pb.DescribeReply, timeout_seconds)

    def close(self) -> None:
        """Ends the channel; calls under way fail."""
        self._channel.close()

    def _call(self, method: str, request: Q, reply: type[A], timeout_seconds: float) -> A:
        if timeout_seconds <= 0:
            raise DeadlineExceeded(f"no time was left to call the algorithm service at {self.address}")
        call = self._channel.unary_unary(
            f"/{KATIB_PACKAGE}.Suggestion/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        try:
            answer: A = call(request, timeout=timeout_seconds)
            return answer
        except grpc.RpcError as error:
            raise raised(error, peer=self.address) from error
        except ValueError as error:
            # What gRPC says of a channel that another thread has closed.
            raise ServiceUnavailable(f"the channel to {self.address} is closed") from error


class Links:
    """A bounded table of links by address; the least recently used are closed. `_lock` guards the table."""

    def __init__(self, *, limit: int = 64) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._links: OrderedDict[str, Link] = OrderedDict()
        self._is_closed = False

    def to(self, endpoint: Endpoint) -> Link:
        """The link to the endpoint. Raises ServiceUnavailable after `close`."""
        address, unwanted = endpoint.address, list[Link]()
        with self._lock:
            if self._is_closed:
                raise ServiceUnavailable("the gateway to algorithm services has been closed")
            link = self._links.get(address)
            if link is not None and link.security != endpoint.security:
                unwanted.append(link)
                link = None
            if link is None:
                link = self._links[address] = Link(address, endpoint.security)
            self._links.move_to_end(address)
            if len(self._links) > self._limit:
                unwanted.append(self._links.popitem(last=False)[1])
        for each in unwanted:
            each.close()
        return link

    def drop(self, link: Link) -> None:
        """Closes a link that leads nowhere; what the service at its end was told is forgotten."""
        with self._lock:
            if self._links.get(link.address) is link:
                del self._links[link.address]
        link.close()

    def forget(self, experiment_uid: str) -> None:
        """Drops what was learnt for the Experiment."""
        with self._lock:
            for link in self._links.values():
                link.peers.pop(experiment_uid, None)

    def close(self) -> None:
        """Closes all."""
        with self._lock:
            self._is_closed = True
            links = tuple(self._links.values())
            self._links.clear()
        for link in links:
            link.close()
