"""Holds OCSF events, one a line, against the schema that OCSF publishes.

The schema is that of the package `ocsf-json-schema`, the newest release that it ships. The profile
`record_integrity` is in a draft after it: what the profile adds is taken off and held against the
objects that it is made of, as the release has them.
"""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

RELEASE = "1.8.0"
CLASS = "api_activity"

source = get_ocsf_schema(version=RELEASE)
schema = OcsfJsonSchemaEmbedded(source)


def validator(of):
    Draft202012Validator.check_schema(of)
    return Draft202012Validator(of)


event_rules = validator(schema.get_class_schema(class_name=CLASS, profiles=[]))
fingerprint_rules = validator(schema.get_object_schema(object_name="fingerprint", profiles=[]))
signature_rules = validator(schema.get_object_schema(object_name="digital_signature", profiles=[]))


def faults(rules, what, where):
    for error in rules.iter_errors(what):
        path = "/".join(str(part) for part in error.absolute_path)
        yield f"{where}/{path}: {error.message[:300]}"


def captions(event):
    """Names that the schema gives to numbers: whoever writes both must write the same."""
    of_class = source["classes"][CLASS]
    pairs = {"class_name": of_class["caption"], "category_name": of_class["category_name"]}
    for name in ["activity_name", "severity", "status"]:
        number = name.removesuffix("_name") + "_id"
        known = of_class["attributes"][number]["enum"].get(str(event[number]), {})
        # 99 is what has no name there.
        if event[number] != 99:
            pairs[name] = known.get("caption")
    for name, caption in pairs.items():
        if event[name] != caption:
            yield f"{name} is `{event[name]}`, and the schema says `{caption}`"


def check(event):
    event["metadata"]["profiles"].remove("record_integrity")
    for attested in event.pop("attestation_list"):
        yield from faults(fingerprint_rules, attested["fingerprint"], "fingerprint")
        for signature in attested["signatures"]:
            signature.pop("value")
            yield from faults(signature_rules, signature, "signature")
    yield from faults(event_rules, event, "event")
    yield from captions(event)


count = 0
wrong = 0
for line in sys.stdin:
    count += 1
    for fault in check(json.loads(line)):
        wrong += 1
        print(f"event {count}: {fault}")
print(f"{count} events, {wrong} faults, OCSF {RELEASE}")
