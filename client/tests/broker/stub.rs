//! A broker that does as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use accord_certs::LeafOptions;
use accord_proto::{
    clock::SystemClock,
    reason::Reason,
    signal::Signal,
    v1::{
        self,
        agreement_service_server::AgreementServiceServer,
        audit_service_server::AuditServiceServer,
        screen_request, screen_response,
        signal_answer::Outcome,
        signal_question,
        signal_service_server::{SignalService, SignalServiceServer},
    },
    wire,
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use prost::Message as _;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{
        Certificate, Identity as ServerIdentity, Server, ServerTlsConfig, server::TcpIncoming,
    },
};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{ledger::LOG, parties::Parties};

/// The clause that the broker names: of the sample agreement, one that offers one window.
const CLAUSE: &str = "4.1";

/// What the broker does with one question.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Answers it.
    Answer,
    /// Answers as if another question had been asked.
    AnswerAnother,
    /// Answers that no signal has a value.
    AnswerNothing,
    /// Answers each signal with *yes*.
    AnswerYes,
    /// Does not answer.
    Hang,
    /// Refuses it; the wait is in milliseconds, 0 for none.
    Refuse(Code, u64),
}

/// What the broker does with one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamPlan {
    pub(crate) window: u32,
    /// Breaks off after so many answers.
    pub(crate) break_after: Option<usize>,
    /// Says at once that the token ends.
    pub(crate) token_expiring: bool,
    /// Refuses every fresh token.
    pub(crate) refuse_token: bool,
    /// Refuses the first line, with this wait in milliseconds.
    pub(crate) refuse_first: Option<u64>,
}

/// What the broker saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) request_ids: Mutex<Vec<String>>,
    pub(crate) tokens: Mutex<Vec<String>>,
    /// Of the certificate that each token came with: SHA-256, base64url.
    pub(crate) thumbprints: Mutex<Vec<String>>,
    pub(crate) refreshed: Mutex<Vec<String>>,
    pub(crate) streams: AtomicU64,
    pub(crate) unanswered_max: AtomicU64,
    /// What was stated with each read of an entry.
    pub(crate) statements: Mutex<Vec<v1::ReadStatement>>,
}

impl Seen {
    /// With which token and which certificate a call came.
    fn see<T>(&self, request: &Request<T>) {
        let token = request.metadata().get("authorization").unwrap();
        let token = token.to_str().unwrap().to_owned();
        self.tokens.lock().unwrap().push(token);
        let certificates = request.peer_certs().unwrap();
        let thumbprint = digest(&SHA256, certificates.first().unwrap());
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(thumbprint);
        self.thumbprints.lock().unwrap().push(thumbprint);
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    plans: Mutex<VecDeque<Plan>>,
    streams: Mutex<VecDeque<StreamPlan>>,
    pub(crate) seen: Arc<Seen>,
    index: AtomicU64,
    /// The agreement in force; without one the broker tells none.
    pub(crate) agreement: Option<String>,
}

/// A running broker.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    server: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stub {
    pub(crate) async fn start(parties: &Parties) -> Self {
        Self::with_plans(parties, [], []).await
    }

    /// A broker that tells its agreement.
    pub(crate) async fn with_agreement(parties: &Parties, note: String) -> Self {
        let state = State {
            agreement: Some(note),
            ..State::default()
        };
        Self::of(parties, state).await
    }

    pub(crate) async fn with_plans(
        parties: &Parties,
        plans: impl IntoIterator<Item = Plan>,
        streams: impl IntoIterator<Item = StreamPlan>,
    ) -> Self {
        let state = State {
            plans: Mutex::new(plans.into_iter().collect()),
            streams: Mutex::new(streams.into_iter().collect()),
            ..State::default()
        };
        Self::of(parties, state).await
    }

    async fn of(parties: &Parties, state: State) -> Self {
        let options = LeafOptions::at(SystemClock::shared().now());
        let leaf = parties.pki.issue("broker", "broker", &options).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(ServerIdentity::from_pem(
                leaf.certificate_pem(),
                leaf.key_pem(),
            ))
            .client_ca_root(Certificate::from_pem(parties.pki.certificate_pem()));
        let state = Arc::new(state);
        let seen = Arc::clone(&state.seen);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Broker(state);
        let router = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(SignalServiceServer::new(service.clone()))
            .add_service(AgreementServiceServer::new(service.clone()))
            .add_service(AuditServiceServer::new(service));
        let server = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener);
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            seen,
            server,
        }
    }
}

/// An address at which nobody listens.
pub(crate) async fn dead_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[derive(Clone)]
pub(crate) struct Broker(pub(crate) Arc<State>);

impl Broker {
    fn answer(
        &self,
        question: &v1::LookupRequest,
        request_id: &str,
        outcome: &Outcome,
    ) -> v1::LookupResponse {
        let signals = question.signals.iter().map(|question| v1::SignalAnswer {
            signal: signal_of(question).to_wire() as i32,
            outcome: Some(outcome.clone()),
            clause: CLAUSE.to_owned(),
            ..v1::SignalAnswer::default()
        });
        let answer = v1::Answer {
            answered_at: Some(wire::timestamp(SystemClock::shared().now())),
            agreement: "SANDBOX-2026-1".to_owned(),
            agreement_version: 1,
            routing_basis: v1::RoutingBasis::Prefix as i32,
            routing_as_of: None,
            signals: signals.collect(),
            request_id: request_id.to_owned(),
        };
        v1::LookupResponse {
            answer: answer.encode_to_vec().into(),
            nonce: vec![7; 32].into(),
            receipt: Some(v1::Receipt {
                origin: LOG.to_owned(),
                index: self.0.index.fetch_add(1, Ordering::Relaxed),
                leaf_hash: vec![9; 32],
                proof: String::new(),
            }),
        }
    }
}

fn yes_no(yes: bool) -> Outcome {
    Outcome::Value(v1::Value {
        value: Some(v1::value::Value::YesNo(yes)),
        swap_kind: 0,
        attack_kind: 0,
    })
}

fn nothing() -> Outcome {
    Outcome::Unanswered(v1::Unanswered {
        reason: Reason::Timeout.to_wire() as i32,
        detail: String::new(),
    })
}

fn signal_of(question: &v1::SignalQuestion) -> Signal {
    match question.signal.as_ref().unwrap() {
        signal_question::Signal::SimSwap(_) => Signal::SimSwap,
        signal_question::Signal::DeviceSwap(_) => Signal::DeviceSwap,
        signal_question::Signal::CallForwarding(_) => Signal::CallForwarding,
        signal_question::Signal::Roaming(_) => Signal::Roaming,
        signal_question::Signal::NumberRecycling(_) => Signal::NumberRecycling,
        signal_question::Signal::Tenure(_) => Signal::Tenure,
        signal_question::Signal::SignallingAnomaly(_) => Signal::SignallingAnomaly,
    }
}

pub(crate) fn refusal(code: Code, wait_ms: u64) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("TEST", "accord", []);
    if wait_ms > 0 {
        details.set_retry_info(Some(Duration::from_millis(wait_ms)));
    }
    Status::with_error_details(code, "as the test wants it", details)
}

#[tonic::async_trait]
impl SignalService for Broker {
    type ScreenStream = ReceiverStream<Result<v1::ScreenResponse, Status>>;

    async fn lookup(
        &self,
        request: Request<v1::LookupRequest>,
    ) -> Result<Response<v1::LookupResponse>, Status> {
        let seen = &self.0.seen;
        seen.see(&request);
        let question = request.into_inner();
        let id = question.request_id.clone();
        seen.request_ids.lock().unwrap().push(id.clone());
        let plan = self.0.plans.lock().unwrap().pop_front();
        match plan.unwrap_or(Plan::Answer) {
            Plan::Answer => Ok(Response::new(self.answer(&question, &id, &yes_no(false)))),
            Plan::AnswerAnother => Ok(Response::new(self.answer(
                &question,
                "another",
                &yes_no(false),
            ))),
            Plan::AnswerNothing => Ok(Response::new(self.answer(&question, &id, &nothing()))),
            Plan::AnswerYes => Ok(Response::new(self.answer(&question, &id, &yes_no(true)))),
            Plan::Hang => std::future::pending().await,
            Plan::Refuse(code, wait_ms) => Err(refusal(code, wait_ms)),
        }
    }

    async fn screen(
        &self,
        request: Request<Streaming<v1::ScreenRequest>>,
    ) -> Result<Response<Self::ScreenStream>, Status> {
        self.0.seen.streams.fetch_add(1, Ordering::Relaxed);
        self.0.seen.see(&request);
        let plan = self.0.streams.lock().unwrap().pop_front();
        let plan = plan.unwrap_or_else(|| StreamPlan {
            window: 8,
            ..StreamPlan::default()
        });
        let (to_client, responses) = mpsc::channel(4);
        let broker = self.clone();
        tokio::spawn(async move { broker.serve(request.into_inner(), to_client, plan).await });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

type ToClient = mpsc::Sender<Result<v1::ScreenResponse, Status>>;

async fn send(to_client: &ToClient, message: screen_response::Message) {
    let message = Some(message);
    let _ = to_client.send(Ok(v1::ScreenResponse { message })).await;
}

impl Broker {
    /// Collects lines until the window is full or no more come, then answers them all: so the
    /// most that the client ever leaves unanswered is seen.
    async fn serve(
        &self,
        mut lines: Streaming<v1::ScreenRequest>,
        to_client: ToClient,
        mut plan: StreamPlan,
    ) {
        let in_flight_max = plan.window;
        let welcome = v1::ScreenWelcome { in_flight_max };
        send(&to_client, screen_response::Message::Welcome(welcome)).await;
        if plan.token_expiring {
            let expiring = v1::TokenExpiring { expires_at: None };
            send(
                &to_client,
                screen_response::Message::TokenExpiring(expiring),
            )
            .await;
        }
        let mut held = Vec::new();
        let mut answered = 0;
        loop {
            let next = timeout(Duration::from_millis(30), lines.message()).await;
            match next {
                Ok(Ok(Some(message))) => match message.message {
                    Some(screen_request::Message::Line(line)) => held.push(line),
                    Some(screen_request::Message::Token(token)) => {
                        self.0.seen.refreshed.lock().unwrap().push(token.token);
                        if plan.refuse_token {
                            let refusal = v1::ScreenRefusal {
                                code: Code::Unauthenticated as i32,
                                ..v1::ScreenRefusal::default()
                            };
                            send(&to_client, screen_response::Message::Refusal(refusal)).await;
                        }
                    }
                    None => {}
                },
                Ok(Ok(None) | Err(_)) => return,
                Err(_) => {
                    let most = &self.0.seen.unanswered_max;
                    most.fetch_max(held.len() as u64, Ordering::Relaxed);
                    for line in held.drain(..) {
                        if plan.break_after == Some(answered) {
                            let broken = Status::unavailable("as the test wants it");
                            let _ = to_client.send(Err(broken)).await;
                            return;
                        }
                        answered += 1;
                        let message = self.respond(line, plan.refuse_first.take());
                        send(&to_client, message).await;
                    }
                }
            }
        }
    }

    fn respond(&self, line: v1::ScreenLine, refuse: Option<u64>) -> screen_response::Message {
        let question = line.question.unwrap();
        let id = question.request_id.clone();
        self.0.seen.request_ids.lock().unwrap().push(id.clone());
        let correlation_id = line.correlation_id;
        match refuse {
            Some(retry_after_ms) => screen_response::Message::Refusal(v1::ScreenRefusal {
                correlation_id,
                code: Code::ResourceExhausted as i32,
                reason: "TEST".to_owned(),
                message: "as the test wants it".to_owned(),
                field: String::new(),
                retry_after_ms,
            }),
            None => screen_response::Message::Answer(v1::ScreenAnswer {
                correlation_id,
                response: Some(self.answer(&question, &id, &yes_no(false))),
            }),
        }
    }
}
