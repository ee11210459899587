"""An HSS of python-diameter (PyPI) for tests: hss.py DIRECTORY PORT HOST REALM PEER...

DIRECTORY/subscribers.json says what it knows and is read again whenever it changes. What it was
asked, as python-diameter decoded it, goes to DIRECTORY/requests.jsonl. Numbers in DIRECTORY/push
are notified to the first PEER, and the file is removed.
"""
import json
import os
import signal
import sys
import threading
import time

from diameter.message import Avp, constants
from diameter.message.avp.grouped import (
    ExperimentalResult, UserIdentity, VendorSpecificApplicationId)
from diameter.message.commands import PushNotificationRequest, SubscribeNotificationsRequest
from diameter.message.constants import (
    APP_3GPP_SH, AVP_TGPP_CX_USER_DATA, AVP_TGPP_SH_USER_DATA, VENDOR_TGPP)
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication
from diameter.node.peer import PeerStats

DIRECTORY, PORT, HOST, REALM, *PEERS = sys.argv[1:]
REPOSITORY, LOCATION, IMSI, IMEISV = 0, 14, 32, 34
SUBSCRIBERS, REQUESTS, PUSH = (
    os.path.join(DIRECTORY, name) for name in ("subscribers.json", "requests.jsonl", "push"))
# Of version 0.9.0, an answer with an Experimental-Result and no Result-Code ends the thread that
# sends answers: its statistics count a code that is not there.
count = PeerStats.add_sent_result_code
PeerStats.add_sent_result_code = lambda stats, code: count(stats, code) if code else None
known, known_at, lock = {}, None, threading.Lock()


def digits(tbcd):
    return "".join(f"{byte & 15:x}{byte >> 4:x}" for byte in tbcd).rstrip("f")


def tbcd(text):
    text += "f" * (len(text) % 2)
    return bytes(int(text[at + 1] + text[at], 16) for at in range(0, len(text), 2))


def subscribers():
    global known, known_at
    # The clock of files is coarse: two changes may bear one time.
    file = os.stat(SUBSCRIBERS)
    changed = (file.st_mtime_ns, file.st_ino, file.st_size)
    with lock:
        if changed != known_at:
            with open(SUBSCRIBERS) as file:
                known, known_at = json.load(file), changed
        return known


def note(message, number):
    identity = {
        "command": message.header.command_code,
        "number": number,
        "references": [int(it) for it in message.data_reference],
        "services": [it.decode() for it in message.service_indication],
        "domain": getattr(message, "requested_domain", None),
        "current": getattr(message, "current_location", None),
        "retransmit": bool(message.header.is_retransmit),
        "host": message.origin_host.decode(),
    }
    with lock, open(REQUESTS, "a") as file:
        file.write(json.dumps(identity) + "\n")


def document(number, subscriber, message):
    parts = [f"<PublicIdentifiers><MSISDN>{number}</MSISDN></PublicIdentifiers>"]
    extension = ""
    for reference in message.data_reference:
        if reference == REPOSITORY:
            for service in message.service_indication:
                data = subscriber.get("repository", {}).get(service.decode())
                if data is not None:
                    parts.append(
                        f"<RepositoryData><ServiceIndication>{service.decode()}</ServiceIndication>"
                        f"<SequenceNumber>1</SequenceNumber>"
                        f"<ServiceData>{data}</ServiceData></RepositoryData>")
        elif reference == LOCATION:
            name = "PS" if message.requested_domain == 1 else "CS"
            inside = subscriber.get(name.lower())
            if inside is not None:
                parts.append(f"<{name}LocationInformation>{inside}</{name}LocationInformation>")
        elif reference == IMSI and "imsi" in subscriber:
            extension += f"<IMSI>{subscriber['imsi']}</IMSI>"
        elif reference == IMEISV and "imeisv" in subscriber:
            extension += f"<Extension><IMEISV>{subscriber['imeisv']}</IMEISV></Extension>"
    if extension:
        parts.append(f"<Extension>{extension}</Extension>")
    raw = subscriber.get("raw")
    text = raw or f'<?xml version="1.0" encoding="UTF-8"?><Sh-Data>{"".join(parts)}</Sh-Data>'
    return text.encode(subscriber.get("encoding", "utf-8"))


def experimental(code):
    return ExperimentalResult(vendor_id=VENDOR_TGPP, experimental_result_code=code)


def handle(app, message):
    number = digits(message.user_identity.msisdn)
    note(message, number)
    answer = app.generate_answer(message)
    answer.auth_session_state = constants.E_AUTH_SESSION_STATE_NO_STATE_MAINTAINED
    answer.vendor_specific_application_id = message.vendor_specific_application_id
    subscriber = subscribers().get(number)
    if subscriber is None:
        answer.experimental_result = experimental(5001)
    elif "experimental" in subscriber:
        answer.experimental_result = experimental(subscriber["experimental"])
    elif "redirect" in subscriber:
        # As a server locator does (TS 29.328 section 6.7, Dh): ask that HSS.
        answer.header.is_error = True
        answer.result_code = constants.E_RESULT_CODE_DIAMETER_REDIRECT_INDICATION
        answer.append_avp(
            Avp.new(constants.AVP_REDIRECT_HOST, value=f"aaa://{subscriber['redirect']}"))
    elif "result" in subscriber:
        answer.result_code = subscriber["result"]
    else:
        answer.result_code = constants.E_RESULT_CODE_DIAMETER_SUCCESS
        if not isinstance(message, SubscribeNotificationsRequest):
            # UserDataAnswer.user_data of version 0.9.0 is AVP 606 (Cx), not 702.
            code = AVP_TGPP_CX_USER_DATA if subscriber.get("cx") else AVP_TGPP_SH_USER_DATA
            data = document(number, subscriber, message)
            answer.append_avp(Avp.new(code, VENDOR_TGPP, value=data))
    return answer


def push(app):
    while True:
        time.sleep(0.02)
        try:
            with open(PUSH) as file:
                numbers = file.read().split()
            os.remove(PUSH)
        except FileNotFoundError:
            continue
        for number in numbers:
            request = PushNotificationRequest()
            request.session_id = app.node.session_generator.next_id()
            request.auth_session_state = 1
            request.origin_host, request.origin_realm = HOST.encode(), REALM.encode()
            request.destination_host, request.destination_realm = PEERS[0].encode(), REALM.encode()
            request.user_identity = UserIdentity(msisdn=tbcd(number))
            request.user_data = None
            request.append_avp(Avp.new(AVP_TGPP_SH_USER_DATA, VENDOR_TGPP, value=b"<Sh-Data/>"))
            request.vendor_specific_application_id = VendorSpecificApplicationId(
                vendor_id=VENDOR_TGPP, auth_application_id=APP_3GPP_SH)
            answer = app.send_request(request, timeout=5)
            with lock, open(REQUESTS, "a") as file:
                file.write(json.dumps({"command": 309, "result": answer.result_code}) + "\n")


def main():
    node = Node(HOST, REALM, ip_addresses=["127.0.0.1"], tcp_port=int(PORT), vendor_ids=[VENDOR_TGPP])
    app = SimpleThreadingApplication(APP_3GPP_SH, is_auth_application=True, request_handler=handle)
    node.add_application(app, [node.add_peer(f"aaa://{peer}", REALM) for peer in PEERS])
    node.start()
    threading.Thread(target=push, args=(app,), daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    node.stop(wait_timeout=2)


main()
