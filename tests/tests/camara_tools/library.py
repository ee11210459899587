"""Asks the door with a client library of CAMARA that a vendor publishes, unmodified."""

import datetime
import json
import os
import sys

import httpx
from network_as_code.client import NetworkAsCodeApi

import auth

number = sys.argv[1]
api = NetworkAsCodeApi(
    base_url=os.environ["DOOR"],
    # The vendor's own gateway asks for one; the door does not.
    api_key="none",
    headers={"Authorization": f"Bearer {auth.token()}"},
    httpx_client=httpx.Client(verify=auth.tls()),
)
day = datetime.date(2024, 1, 31)
forwarding = api.call_forwarding_signal
told = {
    "sim_swapped": api.sim_swap.check(phone_number=number, max_age=240),
    "sim_date": api.sim_swap.retrieve_date(phone_number=number),
    "device_swapped": api.device_swap.check(phone_number=number, max_age=240),
    "forwarded": forwarding.retrieve_unconditional_call_forwarding(phone_number=number),
    "recycled": api.number_recycling.check(phone_number=number, specified_date=day),
    "tenure": api.kyc.check_tenure(phone_number=number, tenure_date=day),
}
print(json.dumps({name: json.loads(answer.json()) for name, answer in told.items()}))
