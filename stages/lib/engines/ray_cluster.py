"""The Ray cluster that this process is connected to."""

import logging
import os
import socket

import ray

from stages.lib.core.errors import UserError

ANSWERS_WITHIN = 5  # seconds, for an address where a cluster is
TOKEN = "this machine needs the same one in ~/.ray/auth_token, and RAY_AUTH_MODE=token."


def processors() -> dict[str, float]:
    """How many processors each node has that has any, by its id."""
    found = {node["NodeID"]: node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]}
    return {node: processors for node, processors in found.items() if processors}


def connect(address: str) -> None:
    """Connect to the cluster at ``address``, or start one on this machine for "local"."""
    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    remedy = "`ray start --head` starts one, and compute.address: local needs none."
    if ":" in address:
        host, _, port = address.rpartition(":")
        try:  # as Ray itself would try for a minute or two
            socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
        except (OSError, ValueError) as error:  # no number, or no name that a machine can have
            raise UserError(
                f"compute.address must be where a Ray cluster is. Received: {address}, where nothing answers "
                f"({getattr(error, 'strerror', None) or error}): {remedy}"
            ) from None
    # whatever log_to_driver says, or news of lost processes would stand within what a stage prints, such as JSON
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)  # what goes wrong is raised, too
    except ray.exceptions.AuthenticationError:
        raise UserError(f"The Ray cluster at compute.address: {address} has a token: {TOKEN}") from None
    except (OSError, RuntimeError, ValueError) as error:
        if address == "auto":
            found = "no node of one runs on this machine"
        else:
            found = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            remedy += f" If that one has a token: {TOKEN}"
        raise UserError(
            f"compute.address must be where a Ray cluster is. Received: {address}, and {found}: {remedy}"
        ) from None
    if not processors():
        raise UserError(f"The Ray cluster at {address} has no node with a processor: `ray start` adds one.")
