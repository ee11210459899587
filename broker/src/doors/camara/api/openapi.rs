//! The OpenAPI 3.1 description of the door, made from what routes, reads and answers.

use std::collections::BTreeMap;

use accord_proto::{camara::Operation, reason::Reason};
use serde_json::{Map, Value as Json, json};

use super::{
    coverage,
    problem::Code,
    reasons, schemas,
    table::{APIS, Api, Endpoint, Field},
};

/// The headers of a request that are ours, each optional: name, longest value, meaning.
pub(super) const REQUEST_HEADERS: [(&str, usize, &str); 4] = [
    (
        "Accord-Request-Id",
        64,
        "Your id of the question. The same one with the same question within ten minutes brings the \
         same answer and receipt; with another question it is ALREADY_EXISTS.",
    ),
    (
        "Accord-Customer-Ref",
        128,
        "Your reference of the customer; the record keeps a keyed digest of it. Never a number.",
    ),
    (
        "Accord-Consent-Ref",
        128,
        "The consent on file, where the clause requires one.",
    ),
    (
        "Accord-Receipt-Kind",
        5,
        "`short`, or `proof` for a whole proof with the receipt.",
    ),
];

/// The headers of an answer that are ours: name, meaning.
pub(super) const ANSWER_HEADERS: [(&str, &str); 4] = [
    (
        "Accord-Receipt",
        "The entry on the record: `origin`, `index` and `leaf`, an RFC 8941 dictionary.",
    ),
    (
        "Accord-Answer",
        "The exact bytes that the entry commits to: a serialised `accord.v1.Answer`, as an RFC 8941 \
         byte sequence.",
    ),
    (
        "Accord-Nonce",
        "The entry holds SHA-256(nonce || answer); a byte sequence.",
    ),
    (
        "Accord-Proof",
        "With `Accord-Receipt-Kind: proof`: a C2SP tlog-proof; a byte sequence.",
    ),
];

const ABOUT: &str = "APIs of CAMARA (GSMA Open Gateway), asked of every mobile operator that the \
    agreement names, through one door. What the agreement does not allow is refused; what is not known \
    is never answered with `false`. Every answer has an entry in a public log, and its receipt in \
    headers. A request body with a property that is not declared here, at any depth, is refused with \
    400 INVALID_ARGUMENT.";

/// The codes that an operation's requests can be answered with.
pub(super) fn codes(endpoint: &Endpoint) -> Vec<Code> {
    let own = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::IdentifierNotFound,
        Code::NotAcceptable,
        Code::AlreadyExists,
        Code::UnsupportedMediaType,
        Code::MissingIdentifier,
        Code::UnnecessaryIdentifier,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
    ];
    let of_device = endpoint.fields.contains(&Field::Device);
    let device = of_device.then_some(Code::UnsupportedIdentifier);
    let operation = endpoint.operation;
    // A date that the clause does not offer is answered with `null`.
    let date = matches!(
        operation,
        Operation::SimSwapRetrieveDate | Operation::DeviceSwapRetrieveDate
    );
    let reasons = Reason::ALL
        .iter()
        .filter(|reason| !(date && **reason == Reason::OutOfRange))
        .map(|reason| reasons::code(operation, *reason));
    let mut codes: Vec<_> = own.into_iter().chain(device).chain(reasons).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The whole document. `url` is where clients reach the door.
pub(super) fn document(url: &str) -> Json {
    let mut paths = Map::new();
    for api in APIS {
        for endpoint in api.endpoints {
            let path = format!("{}{}", api.base, endpoint.path);
            paths.insert(path, json!({ "post": operation(api, endpoint) }));
        }
    }
    paths.insert(coverage::PATH.to_owned(), coverage_path());
    let tags: Vec<_> = APIS
        .iter()
        .map(|api| json!({ "name": api.title, "description": api.follows }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Accord: the CAMARA door",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": url }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "openId": {
                    "type": "openIdConnect",
                    "openIdConnectUrl": format!("{url}/.well-known/openid-configuration"),
                },
                "certificate": { "type": "mutualTLS" },
            },
            "parameters": parameters(),
            "headers": headers(),
        },
    })
}

fn operation(api: &Api, endpoint: &Endpoint) -> Json {
    let security: Vec<_> = endpoint
        .operation
        .scopes()
        .iter()
        .map(|scope| json!({ "openId": [scope] }))
        .collect();
    json!({
        "operationId": endpoint.id,
        "tags": [api.title],
        "summary": endpoint.summary,
        "security": security,
        "parameters": parameter_references(),
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": schemas::request(endpoint.fields) } },
        },
        "responses": with_links(
            responses(schemas::answer(endpoint.answers), &codes(endpoint), true),
            links(api, endpoint),
        ),
    })
}

/// What else the API can be asked about the same number: a window after a date, and the other way
/// round.
fn links(api: &Api, endpoint: &Endpoint) -> Map<String, Json> {
    let others = api.endpoints.iter().filter(|other| other.id != endpoint.id);
    others
        .map(|other| {
            let link = json!({
                "operationId": other.id,
                "requestBody": { "phoneNumber": "$request.body#/phoneNumber" },
                "description": format!("The same number: {}", other.summary),
            });
            (other.id.to_owned(), link)
        })
        .collect()
}

fn with_links(mut responses: Json, links: Map<String, Json>) -> Json {
    let ok = responses.get_mut("200").and_then(Json::as_object_mut);
    if let (Some(ok), false) = (ok, links.is_empty()) {
        ok.insert("links".to_owned(), links.into());
    }
    responses
}

fn coverage_path() -> Json {
    let codes = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotAcceptable,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
    ];
    let correlator = json!([{ "$ref": "#/components/parameters/x-correlator" }]);
    json!({ "get": {
        "operationId": "readCoverage",
        "summary": "Which operators and signals the agreement in force lets you ask, and how precisely.",
        "security": [{ "openId": [] }],
        "parameters": correlator,
        "responses": responses(coverage::schema(), &codes, false),
    } })
}

fn responses(answer: Json, codes: &[Code], receipt: bool) -> Json {
    let mut responses = Map::new();
    let ok = json!({
        "description": "The answer.",
        "headers": header_references(receipt, &[]),
        "content": { "application/json": { "schema": answer } },
    });
    responses.insert("200".to_owned(), ok);
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(*code);
    }
    for (status, codes) in by_status {
        let words: Vec<_> = codes.iter().map(|code| code.word()).collect();
        let meanings: Vec<_> = codes
            .iter()
            .map(|code| format!("{}: {}.", code.word(), code.meaning()))
            .collect();
        let more: &[&str] = match status {
            401 => &["WWW-Authenticate"],
            429 | 503 => &["Retry-After"],
            _ => &[],
        };
        let error = json!({
            "description": meanings.join(" "),
            "headers": header_references(receipt, more),
            "content": { "application/json": { "schema": schemas::error(status, &words) } },
        });
        responses.insert(status.to_string(), error);
    }
    responses.into()
}

fn parameters() -> Json {
    let mut parameters = Map::new();
    let correlator = json!({
        "name": "x-correlator",
        "in": "header",
        "description": "Comes back with the answer; made where there is none.",
        "schema": schemas::correlator(),
    });
    parameters.insert("x-correlator".to_owned(), correlator);
    for (name, longest, meaning) in REQUEST_HEADERS {
        let mut schema = json!({ "type": "string", "minLength": 1, "maxLength": longest });
        if let (true, Some(members)) = (name == "Accord-Receipt-Kind", schema.as_object_mut()) {
            members.insert("enum".to_owned(), json!(["short", "proof"]));
        }
        let parameter = json!({
            "name": name,
            "in": "header",
            "description": meaning,
            "schema": schema,
        });
        parameters.insert(name.to_owned(), parameter);
    }
    parameters.into()
}

fn parameter_references() -> Json {
    let names = REQUEST_HEADERS.iter().map(|(name, ..)| *name);
    std::iter::once("x-correlator")
        .chain(names)
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect()
}

fn headers() -> Json {
    let text = |meaning: &str| json!({ "description": meaning, "schema": { "type": "string" } });
    let mut headers = Map::new();
    let correlator = json!({
        "description": "That of the request, or a new one.",
        "schema": schemas::correlator(),
    });
    headers.insert("x-correlator".to_owned(), correlator);
    for (name, meaning) in ANSWER_HEADERS {
        headers.insert(name.to_owned(), text(meaning));
    }
    for (name, meaning) in OTHER_HEADERS {
        headers.insert(name.to_owned(), text(meaning));
    }
    headers.into()
}

/// Headers of errors: name, meaning.
const OTHER_HEADERS: [(&str, &str); 3] = [
    (
        "Accord-Reason",
        "Accord's own word for the error, the same on every door.",
    ),
    ("Retry-After", "Seconds."),
    (
        "WWW-Authenticate",
        "What a token needs (RFC 6750, RFC 9449).",
    ),
];

fn header_references(receipt: bool, more: &[&str]) -> Json {
    let receipt = receipt.then_some(ANSWER_HEADERS.iter().map(|(name, _)| *name));
    let reference = |name: &str| {
        let to = json!({ "$ref": format!("#/components/headers/{name}") });
        (name.to_owned(), to)
    };
    let all = ["x-correlator"]
        .into_iter()
        .chain(receipt.into_iter().flatten())
        .chain(more.iter().copied());
    all.map(reference).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests;
