"""Tokens of the door, by an OAuth client that others wrote."""

import os
import ssl
import time

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

FRAUD = "dpv:FraudPreventionAndDetection"


def tls() -> ssl.SSLContext:
    """Both certificates: the door's is checked, ours is shown."""
    context = ssl.create_default_context(cafile=os.environ["ROOTS"])
    context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["CERTIFICATE_KEY"])
    return context


def token() -> str:
    """A fresh token with every scope that the discovery document names."""
    door = os.environ["DOOR"]
    found = httpx.get(f"{door}/.well-known/openid-configuration", verify=tls())
    found.raise_for_status()
    discovery = found.json()
    scopes = [scope for scope in discovery["scopes_supported"] if scope not in ("openid", FRAUD)]
    with open(os.environ["TOKEN_KEY"]) as file:
        key = ECKey.import_key(file.read())
    client = OAuth2Client(
        client_id=os.environ["CLIENT"],
        client_secret=key,
        token_endpoint_auth_method="private_key_jwt",
        scope=" ".join([FRAUD, *scopes]),
        verify=tls(),
    )
    client.register_client_auth_method(
        # CAMARA allows an assertion 300 s; the library takes an hour unless it is told.
        PrivateKeyJWT(
            discovery["token_endpoint"],
            claims={"exp": int(time.time()) + 240},
            headers={"kid": os.environ["TOKEN_KEY_ID"]},
            alg="ES256",
        )
    )
    return client.fetch_token(discovery["token_endpoint"], grant_type="client_credentials")[
        "access_token"
    ]
