"""Tokens by Authlib, an OAuth library that others wrote, and a question with each.

Prints one JSON document a line: what each token grants, what was answered, and how a refusal is raised.
"""

import json
import sys
import time

from authlib.integrations.requests_client import AssertionSession, OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

url, certificate, key, token_key, client, scope, number = sys.argv[1:]
endpoint = url + "/oauth2/token"
check = url + "/sim-swap/v2/check"
pair = (certificate, key)
with open(token_key) as file:
    signs = ECKey.import_key(file.read())


def soon():
    return int(time.time()) + 120


def say(**told):
    print(json.dumps(told))


def any_number(scope):
    method = PrivateKeyJWT(endpoint, alg="ES256", claims={"exp": soon()})
    session = OAuth2Session(client, signs, token_endpoint_auth_method=method, scope=scope)
    session.cert = pair
    token = session.fetch_token(endpoint, grant_type="client_credentials")
    return session, token


session, token = any_number(scope)
say(type=token["token_type"], scope=token["scope"])
answer = session.post(check, json={"phoneNumber": number, "maxAge": 72})
say(status=answer.status_code, body=answer.json())

session = AssertionSession(
    endpoint, issuer=client, subject="tel:" + number, audience=endpoint, expires_at=soon(),
    claims={"scope": scope}, key=signs, header={"alg": "ES256"},
)
session.cert = pair
answer = session.post(check, json={"maxAge": 72})
say(status=answer.status_code, body=answer.json())

try:
    any_number("dpv:Marketing " + scope.split(" ")[1])
except Exception as error:
    say(error=error.error, description=error.description)
