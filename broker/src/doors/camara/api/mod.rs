//! The APIs of the CAMARA door.
//!
//! ```text
//!   request ─▶ table (path → operation) ─▶ token, scope ─▶ headers, body ─▶ question ─▶ the path
//!   response ◀─ receipt in headers ◀─ answer, or the error of its reason ◀──────────────┘
//! ```
//!
//! What is checked in which order: 404 and 405 of the path; 401; 403 of the scope; 400, 406 and 415 of
//! headers and body; 422 of the identifier; 400 `OUT_OF_RANGE` of a window or date that no agreement
//! could allow; and then whatever the path of the question says. A refusal of a known party goes on
//! the record, as on every door.

mod answer;
mod countries;
mod coverage;
mod fault;
mod fields;
mod headers;
mod json;
mod openapi;
mod page;
mod problem;
mod question;
mod reasons;
mod receipt;
mod respond;
mod schemas;
mod table;

use std::sync::Arc;

use accord_proto::v1;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use hyper::body::{Bytes, Incoming as Body};
use jiff::tz::TimeZone;
use prost::Message as _;
use tokio::time::Duration;

use self::{
    fault::Fault,
    problem::{Code, Problem},
    table::Endpoint,
};
use super::body::{self, BodyLimits};
use crate::{
    doors::https::{Held, response},
    identity::{Caller, Granted, Peer, Presented, Target, present},
    path::{Call, DRAINING, Path, Refusal},
};

/// The method of what is refused before its operation is known, for the record.
const ANY: &str = "Camara";
/// That of a reading of the coverage.
const COVERAGE: &str = "Camara.Coverage";
/// Every body of these APIs fits a tenth of it.
const BODY: BodyLimits = BodyLimits {
    bytes_max: 4 << 10,
    deadline: Duration::from_secs(5),
};

/// The APIs, over one path.
#[derive(Debug)]
pub(super) struct Apis {
    path: Path,
    /// Where clients reach the door, without a slash at its end.
    url: String,
    /// Paths below which clients of an aggregator expect the APIs.
    roots: Vec<String>,
    openapi: Bytes,
    page: Bytes,
}

/// An answer, before it is a response.
struct Answered {
    body: Bytes,
    /// Where an entry was made.
    response: Option<v1::LookupResponse>,
}

impl Apis {
    /// The APIs at `url`.
    pub(super) fn new(path: Path, url: String, roots: Vec<String>) -> Self {
        Self {
            path,
            roots,
            openapi: openapi::document(&url).to_string().into(),
            page: page::page(&url).into(),
            url,
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Held> {
        if let Some(document) = self.document(request.method(), request.uri().path()) {
            return document;
        }
        let correlator = headers::correlator(request.headers());
        let (correlator, broken) = match correlator {
            Ok(correlator) => (correlator, None),
            Err((error, made)) => (made, Some(Fault::invalid("x-correlator", &error))),
        };
        let mut response = match self.reply(peer, request, broken).await {
            Ok(answered) => respond::answered(answered),
            Err((fault, response)) => {
                respond::refused(fault, response.as_deref(), peer.has_certificate())
            }
        };
        respond::correlate(&mut response, correlator);
        response
    }

    /// What is for everybody, and asks nothing of the path.
    fn document(&self, method: &Method, path: &str) -> Option<Response<Held>> {
        let (kind, bytes) = match path {
            "/openapi.json" => (headers::JSON, &self.openapi),
            "/" | "/docs" => ("text/html; charset=utf-8", &self.page),
            _ => return None,
        };
        if method != Method::GET && method != Method::HEAD {
            return Some(respond::method("GET, HEAD"));
        }
        let mut response = response(StatusCode::OK, kind, bytes.clone());
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        let policy = HeaderValue::from_static(page::POLICY);
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        Some(response)
    }

    async fn reply(
        &self,
        peer: &Arc<Peer>,
        request: Request<Body>,
        broken: Option<Fault>,
    ) -> Result<Answered, Refused> {
        let path = request.uri().path();
        let endpoint = self.endpoint(path);
        let (method, allowed) = match (endpoint, path) {
            (Some(endpoint), _) => (endpoint.method, Method::POST),
            (None, coverage::PATH) => (COVERAGE, Method::GET),
            (None, _) => {
                let fault = Fault::from(Refusal::NotFound("path"));
                return Err((self.on_record(peer, None, ANY, fault).await, None));
            }
        };
        if request.method() != allowed {
            let rule = format!("of this path is {allowed}");
            let mut fault = Fault::field(Code::MethodNotAllowed, "method", &rule);
            fault.challenge = Some(allowed.to_string());
            return Err((self.on_record(peer, None, method, fault).await, None));
        }
        let presented = match self.presented(request.headers(), &allowed, request.uri()) {
            Ok(presented) => presented,
            Err(fault) => return Err((self.on_record(peer, None, method, fault).await, None)),
        };
        let outcome = match endpoint {
            Some(endpoint) => {
                let question = Question {
                    peer,
                    presented: presented.as_ref(),
                    endpoint,
                };
                self.ask(question, request, broken).await
            }
            None => {
                let read = self.coverage(peer, presented.as_ref(), request.headers(), broken);
                read.map_err(|fault| (fault, None))
            }
        };
        match outcome {
            Ok(answered) => Ok(answered),
            Err((fault, response)) => {
                let presented = presented.as_ref();
                let fault = self.on_record(peer, presented, method, fault).await;
                Err((fault, response))
            }
        }
    }

    /// The operation at a path, or below the root of an aggregator that the configuration names
    /// (CAMARA's `{apiRoot}`).
    fn endpoint(&self, path: &str) -> Option<&'static Endpoint> {
        let below = |root: &String| table::find(path.strip_prefix(root.as_str())?);
        table::find(path).or_else(|| self.roots.iter().find_map(below))
    }

    fn presented(
        &self,
        headers: &HeaderMap,
        method: &Method,
        uri: &Uri,
    ) -> Result<Option<Presented>, Fault> {
        if self.path.is_draining() {
            return Err(DRAINING.into());
        }
        let url = format!("{}{}", self.url, uri.path());
        let now = self.path.parts().clock.now();
        let presented = present(headers, method.as_str(), Target::Url(&url), now);
        presented.map_err(|error| Refusal::from(error).into())
    }

    /// Puts a fault on the record, if it has to go there. What can't be recorded isn't told either.
    async fn on_record(
        &self,
        peer: &Arc<Peer>,
        presented: Option<&Presented>,
        method: &'static str,
        mut fault: Fault,
    ) -> Fault {
        let Some(refusal) = fault.refusal.take() else {
            return fault;
        };
        let reason = refusal.reason();
        let told = self.path.refused(peer, presented, method, *refusal).await;
        if told.reason() == reason {
            return fault;
        }
        Fault::answered(Problem::from(&told))
    }

    async fn ask(
        &self,
        question: Question<'_>,
        request: Request<Body>,
        broken: Option<Fault>,
    ) -> Result<Answered, Refused> {
        let (request, asked) = self
            .read(&question, request, broken)
            .await
            .map_err(|fault| (fault, None))?;
        let call = Call {
            peer: Arc::clone(question.peer),
            presented: question.presented.cloned(),
            request,
            deadline: None,
            operation: Some(question.endpoint.operation),
            bulk: false,
            method: question.endpoint.method,
        };
        let response = match self.path.ask(call).await {
            Ok(answered) => answered.into_response(),
            // The path has put it on the record.
            Err(refusal) => return Err((Fault::answered(Problem::from(&refusal)), None)),
        };
        let answer = v1::Answer::decode(response.answer.clone()).map_err(|_| {
            let problem = Problem::new(Code::Internal, "the broker made a mistake");
            (Fault::answered(problem), None)
        })?;
        match answer::body(&asked, &answer) {
            Ok(body) => Ok(Answered {
                body: body.to_string().into(),
                response: Some(response),
            }),
            Err(problem) => Err((Fault::answered(problem), Some(Box::new(response)))),
        }
    }

    /// From a request to the question that it asks.
    async fn read(
        &self,
        question: &Question<'_>,
        request: Request<Body>,
        broken: Option<Fault>,
    ) -> Result<(v1::LookupRequest, answer::Asked), Fault> {
        let endpoint = question.endpoint;
        let operation = endpoint.operation;
        let caller = self.path.admit(question.peer, question.presented)?;
        let scheme = match question.peer.has_certificate() {
            true => "Bearer",
            false => "DPoP",
        };
        let granted = granted(&caller, endpoint, scheme)?;
        let in_token = granted.subject.is_some();
        if let Some(broken) = broken {
            return Err(broken);
        }
        if request.uri().query().is_some() {
            let rule = "has no query: everything stands in the body";
            return Err(Fault::field(Code::InvalidArgument, "path", rule));
        }
        let (parts, body) = request.into_parts();
        takes_json(&parts.headers)?;
        // Who says nothing of a body mostly sends none, which upstream calls a body that breaks its
        // schema.
        if !parts.headers.contains_key(CONTENT_TYPE) {
            let rule = "is missing: a body is sent as `application/json`";
            return Err(Fault::field(Code::InvalidArgument, "content-type", rule));
        }
        if !headers::sends_json(&parts.headers) {
            let rule = "is `application/json`";
            let code = Code::UnsupportedMediaType;
            return Err(Fault::field(code, "content-type", rule));
        }
        let bytes = body::read(body, BODY).await;
        let bytes = bytes.map_err(|error| Fault::invalid("body", &error))?;
        let said = fields::read(&bytes, endpoint.fields);
        let said = said.map_err(|error| Fault::invalid("body", &error))?;
        let msisdn = question::number(&said, in_token)?;
        let today = self.path.parts().clock.now();
        let today = today.to_zoned(TimeZone::UTC).date();
        let mut request = v1::LookupRequest {
            msisdn,
            signals: vec![question::signal(operation, &said, today)?],
            ..v1::LookupRequest::default()
        };
        headers::extend(&mut request, &parts.headers)
            .map_err(|error| Fault::invalid(error.field, &error))?;
        Ok((request, question::asked(operation, said)))
    }

    fn coverage(
        &self,
        peer: &Peer,
        presented: Option<&Presented>,
        headers: &HeaderMap,
        broken: Option<Fault>,
    ) -> Result<Answered, Fault> {
        let caller = self.path.admit(peer, presented)?;
        if let Some(broken) = broken {
            return Err(broken);
        }
        takes_json(headers)?;
        let parts = self.path.parts();
        let bank = caller.party().org();
        let rate = parts.rates.party(bank);
        rate.map_err(|retry_after| Refusal::RateLimited { retry_after })?;
        let (governed, now) = (parts.governance.current(), parts.clock.now());
        governed.check_in_force(now)?;
        Ok(Answered {
            body: coverage::body(&governed, bank, now).to_string().into(),
            response: None,
        })
    }
}

/// An error, and the receipt where an entry was made of it.
type Refused = (Fault, Option<Box<v1::LookupResponse>>);

/// Who asks what.
struct Question<'a> {
    peer: &'a Arc<Peer>,
    presented: Option<&'a Presented>,
    endpoint: &'static Endpoint,
}

/// What a token grants, if that is this operation. A token that a bank signed itself has no scopes,
/// and opens the gRPC door only.
fn granted<'a>(
    caller: &'a Caller,
    endpoint: &Endpoint,
    scheme: &str,
) -> Result<&'a Granted, Fault> {
    let granted = caller.granted();
    granted
        .filter(|granted| granted.scopes.allows(endpoint.operation))
        .ok_or_else(|| {
            let scopes = endpoint.operation.scopes().join(" ");
            // RFC 6750 section 3.1, RFC 9449 section 7.1.
            Fault::from(Refusal::OperationNotInScope).challenging(format!(
                "{scheme} realm=\"accord\", error=\"insufficient_scope\", scope=\"{scopes}\""
            ))
        })
}

fn takes_json(headers: &HeaderMap) -> Result<(), Fault> {
    match headers::takes_json(headers) {
        true => Ok(()),
        false => Err(Fault::field(
            Code::NotAcceptable,
            "accept",
            "admits `application/json`",
        )),
    }
}
