"""What schemathesis must know of the door."""

import os
import re
import zlib

import schemathesis

import auth

DAY = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])")
# The ending of the number whose operator suspends it: 403, which a valid case must not be answered with
# otherwise.
SUSPENDED = 34
DECLARED = {"phoneNumber", "device", "maxAge", "specifiedDate", "tenureDate"}


@schemathesis.auth(refresh_interval=120)
class Token:
    """A token lasts five minutes; a run may last longer."""

    def get(self, case, context):
        return auth.token()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


def is_valid(case):
    """Whether the description allows the case."""
    return case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context, case, kwargs):
    """Most numbers become ones that an operator serves, and most days one of the last years, so that
    there is an answer too."""
    body = case.body
    if not isinstance(body, dict):
        return
    if is_valid(case) and zlib.crc32(repr(case.headers).encode()) % 4:
        # The upstream files leave open what else a body has; the door takes none of it. And a body
        # may be without the number that a token like ours needs.
        for name in body.keys() - DECLARED:
            del body[name]
        of_device = case.operation.label.endswith("/retrieve")
        place = body.setdefault("device", {}) if of_device else body
        if isinstance(place, dict):
            place.setdefault("phoneNumber", f"+4477009001{zlib.crc32(repr(body).encode()) % 100:02}")
    for place in (body, body.get("device")):
        number = place.get("phoneNumber") if isinstance(place, dict) else None
        if not isinstance(number, str) or not number.startswith("+") or not number[1:].isdigit():
            continue
        mixed = zlib.crc32(number.encode())
        if mixed % 4:
            ending = mixed // 4 % 1000
            place["phoneNumber"] = f"+447700900{ending + (ending == SUSPENDED):03}"
    for name in ("specifiedDate", "tenureDate"):
        # One day for each number, since a clause lets a bank ask of one alone in an hour.
        if DAY.fullmatch(str(body.get(name))) and zlib.crc32(body[name].encode()) % 4:
            body[name] = "2025-06-15"


@schemathesis.hook
def after_call(context, case, response):
    """What was answered, for whoever asks whether everything was."""
    with open(os.environ["ANSWERED"], "a") as answered:
        answered.write(f"{response.status_code} {case.operation.label}\n")
