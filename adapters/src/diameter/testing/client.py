"""A client of python-diameter (PyPI) for measurements: client.py HOST REALM SERVER PORT NUMBERS

For each line "SECONDS IN_FLIGHT" of its input it asks for the IMSI of the numbers of the file
NUMBERS, one after another, with so many requests in flight, and answers with one line: a JSON list
of how long each took in microseconds, in no order. "ready" comes first.
"""
import json
import sys
import threading
import time

from diameter.message.avp.grouped import UserIdentity, VendorSpecificApplicationId
from diameter.message.commands import UserDataRequest
from diameter.message.constants import APP_3GPP_SH, AVP_TGPP_SH_USER_DATA, VENDOR_TGPP
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

HOST, REALM, SERVER, PORT, NUMBERS = sys.argv[1:]
IMSI = 32


def tbcd(text):
    text += "f" * (len(text) % 2)
    return bytes(int(text[at + 1] + text[at], 16) for at in range(0, len(text), 2))


def ask(node, app, number):
    request = UserDataRequest()
    request.session_id = node.session_generator.next_id()
    request.auth_session_state = 1
    request.origin_host, request.origin_realm = HOST.encode(), REALM.encode()
    request.destination_realm = REALM.encode()
    request.user_identity = UserIdentity(msisdn=tbcd(number))
    request.data_reference = [IMSI]
    request.vendor_specific_application_id = VendorSpecificApplicationId(
        vendor_id=VENDOR_TGPP, auth_application_id=APP_3GPP_SH)
    answer = app.send_request(request, timeout=5)
    found = any(avp.code == AVP_TGPP_SH_USER_DATA and b"<IMSI>" in avp.value for avp in answer.avps)
    if not found:
        raise RuntimeError("an answer without an IMSI")


def main():
    with open(NUMBERS) as file:
        numbers = file.read().split()
    node = Node(HOST, REALM, vendor_ids=[VENDOR_TGPP])
    peer = node.add_peer(f"aaa://{SERVER}:{PORT}", REALM, ip_addresses=["127.0.0.1"],
                         is_persistent=True, is_default=True)
    app = SimpleThreadingApplication(APP_3GPP_SH, is_auth_application=True)
    node.add_application(app, [peer])
    node.start()
    app.wait_for_ready()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, in_flight = line.split()
        seconds, in_flight = float(seconds), int(in_flight)
        end, took = time.monotonic() + seconds, []

        def task(at):
            while True:
                begun = time.monotonic()
                if begun >= end:
                    return
                ask(node, app, numbers[at % len(numbers)])
                at += in_flight
                took.append(int((time.monotonic() - begun) * 1e6))

        tasks = [threading.Thread(target=task, args=(at,)) for at in range(in_flight)]
        for one in tasks:
            one.start()
        for one in tasks:
            one.join()
        print(json.dumps(took), flush=True)
    node.stop(wait_timeout=2)


main()
