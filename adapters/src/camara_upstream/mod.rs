//! Another operator's or an aggregator's CAMARA APIs as the source.
//!
//! Each question of a bank is one request for each signal, or several where an API only tells whether
//! there was a change since a day or an hour. Nothing is known here between two questions but a token,
//! connections, and until when an API wants to be left alone.

mod accord;
mod api;
mod asked;
mod config;
mod fault;
mod http;
mod since;
mod token;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use accord_proto::{
    clock::SharedClock,
    msisdn::Msisdn,
    observation::{Observation, Observed, SourceClass},
    reason::Reason,
    signal::Signal,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

pub use self::config::{CamaraConfig, CamaraError, ForwardingOperation, SwapsBy, TokenSection};
pub use self::token::KeyAlg;
use self::{
    api::{Heard, Manner},
    asked::Asked,
    fault::Fault,
    http::{Http, Place, Post, Said},
    since::Known,
    token::Tokens,
};
use crate::several::Ceiling;
use crate::source::{Condition, Observations, Source, SourceFuture, SourceState, StateCell};

/// How long an API is left alone that said `429` and not for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// One API.
#[derive(Debug)]
struct Api {
    signal: Signal,
    place: Place,
    /// Until then it is not asked.
    held: Mutex<Option<Instant>>,
}

impl Api {
    fn is_held(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.is_some_and(|until| until > Instant::now())
    }

    fn hold(&self, pause: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Instant::now() + pause);
    }
}

/// The source.
pub struct CamaraUpstream {
    apis: Vec<Api>,
    signals: Vec<Signal>,
    manner: Manner,
    /// What an Accord says beside the body is read.
    accord_answer: bool,
    http: Arc<Http>,
    ceiling: Option<Ceiling>,
    tokens: Arc<Tokens>,
    clock: SharedClock,
    state: StateCell,
}

impl fmt::Debug for CamaraUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CamaraUpstream")
            .field("apis", &self.apis)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl CamaraUpstream {
    /// Reads keys and certificates; the upstream is first asked with the first question.
    ///
    /// # Errors
    /// [`CamaraError`] names the key.
    pub fn open(config: &CamaraConfig, clock: SharedClock) -> Result<Self, CamaraError> {
        let places = config.check()?;
        let manner = Manner::new(config);
        let api = |(signal, place): (Signal, Place)| Api {
            signal,
            place: match manner.operation(signal) {
                Some(operation) => place.below(operation),
                None => place,
            },
            held: Mutex::new(None),
        };
        let apis: Vec<Api> = places.into_iter().map(api).collect();
        Ok(Self {
            signals: apis.iter().map(|api| api.signal).collect(),
            apis,
            manner,
            accord_answer: config.accord_answer,
            http: Arc::new(Http::new(config)?),
            ceiling: config.requests_per_second.map(Ceiling::new),
            tokens: Arc::new(Tokens::new(&config.token, clock.clone())?),
            clock,
            state: StateCell::default(),
        })
    }

    async fn one(
        &self,
        signal: Signal,
        msisdn: &Msisdn,
        deadline: Instant,
    ) -> Result<Observation, Reason> {
        let api = self.apis.iter().find(|api| api.signal == signal);
        let api = api.ok_or(Reason::NotAvailable)?;
        let mut known = Known::default();
        let mut reason = Reason::NotAvailable;
        for asked in self.manner.questions(signal, self.clock.now()) {
            let heard = self.ask(api, (asked, msisdn), deadline).await;
            self.tell(api, &heard);
            match heard {
                Ok(Heard::Whole(what, observed_at)) => return Ok(observation(what, observed_at)),
                Ok(Heard::Since(since)) => {
                    // Where nothing was learnt, it may have happened since what it knows.
                    reason = Reason::Stale;
                    if known.take(since) {
                        break;
                    }
                }
                Err(fault) => {
                    reason = fault.reason;
                    // Beyond how far back it knows; of a shorter time it may know.
                    let further = reason == Reason::NotWatched
                        || (reason == Reason::NotAvailable && known.is_some());
                    if !further {
                        break;
                    }
                }
            }
        }
        // What was learnt until then is true, if it is less than what was hoped for.
        let (what, observed_at) = known.told().ok_or(reason)?;
        Ok(observation(what, observed_at))
    }

    /// Says how the upstream is after one exchange.
    fn tell(&self, api: &Api, heard: &Result<Heard, Fault>) {
        let name = api.signal.name();
        let (condition, why) = match heard {
            Ok(_) => (Condition::Up, String::new()),
            Err(fault) => match fault.condition {
                Some(condition) if fault.is_of_token => {
                    (condition, format!("token: {}", fault.why))
                }
                Some(condition) => (condition, format!("{name}: {}", fault.why)),
                // It answers, if not what was hoped for; being told to wait says nothing new.
                None if fault.reason == Reason::Overloaded => return,
                None => (Condition::Up, String::new()),
            },
        };
        if self.state.set(condition, why.clone(), self.clock.now()) && condition != Condition::Up {
            tracing::warn!(why, "the upstream does not answer as it should");
        }
    }

    async fn ask(
        &self,
        api: &Api,
        (asked, msisdn): (Asked, &Msisdn),
        deadline: Instant,
    ) -> Result<Heard, Fault> {
        let body = asked.body(msisdn);
        let mut again = true;
        loop {
            if api.is_held() {
                return Err(Fault::HELD);
            }
            let token = self.tokens.get(&self.http, deadline).await?;
            let mut ceiling = self.ceiling.iter();
            if !ceiling.all(|ceiling| ceiling.admits(false, Instant::now())) {
                return Err(Fault::CEILING);
            }
            let post = Post {
                place: &api.place,
                content_type: "application/json",
                authorization: Some(token.clone()),
                body: body.clone(),
            };
            let sent = self.clock.now();
            let said = self
                .http
                .post(&post, deadline)
                .await
                .map_err(Fault::of_http)?;
            // The clock may have been put back meanwhile.
            let received = self.clock.now().max(sent);
            if said.status.is_success() {
                let answer = said.accord_answer.filter(|_| self.accord_answer);
                return match answer {
                    Some(header) => {
                        let exchange = accord::Exchange { sent, received };
                        read_accord((&header, &said.body), (api.signal, asked), exchange)
                    }
                    None => self.manner.read(asked, &said.body, sent, received),
                };
            }
            // A token may have been revoked before its time: once, it is worth another.
            if said.status.as_u16() == 401 {
                self.tokens.refused(&token);
                if std::mem::take(&mut again) {
                    continue;
                }
            }
            return Err(self.refusal(api, &said));
        }
    }

    fn refusal(&self, api: &Api, said: &Said) -> Fault {
        let fault = Fault::of_api(said.status, &said.body);
        // A quota may be this number's alone.
        let pause = match said.retry_after {
            None if fault == Fault::QUOTA => None,
            None => Some(PAUSE),
            some => some,
        };
        if let Some(pause) = pause.filter(|_| matches!(said.status.as_u16(), 429 | 503)) {
            api.hold(pause);
        }
        fault
    }
}

/// What an Accord says in the header and in the body of an answer.
fn read_accord(
    (header, body): (&[u8], &[u8]),
    asked: (Signal, Asked),
    exchange: accord::Exchange,
) -> Result<Heard, Fault> {
    accord::read(header, asked, &api::json(body)?, exchange)
}

/// What answers say of a signal that came one after the other, each within a second: for fuzz targets.
///
/// # Errors
/// Why they say nothing.
#[cfg(any(test, feature = "test-util"))]
pub fn read_answers(
    config: &CamaraConfig,
    signal: Signal,
    now: Timestamp,
    answers: &[&[u8]],
) -> Result<Observation, Reason> {
    let manner = Manner::new(config);
    let mut known = Known::default();
    for (asked, answer) in manner.questions(signal, now).into_iter().zip(answers) {
        let received = now + jiff::SignedDuration::from_secs(1);
        match manner.read(asked, answer, now, received) {
            Ok(Heard::Whole(what, observed_at)) => return Ok(observation(what, observed_at)),
            Ok(Heard::Since(since)) => {
                if known.take(since) {
                    break;
                }
            }
            Err(fault) if !known.is_some() => return Err(fault.reason),
            Err(_) => break,
        }
    }
    let (what, observed_at) = known.told().ok_or(Reason::NotAvailable)?;
    Ok(observation(what, observed_at))
}

/// What an Accord says in a serialised `accord.v1.Answer` and in the body of the answer to the first question
/// about a signal, within a second: for fuzz targets.
///
/// # Errors
/// Why they say nothing.
#[cfg(any(test, feature = "test-util"))]
pub fn read_accord_answer(
    config: &CamaraConfig,
    signal: Signal,
    now: Timestamp,
    (answer, body): (&[u8], &[u8]),
) -> Result<Observation, Reason> {
    let questions = Manner::new(config).questions(signal, now);
    let asked = *questions.first().ok_or(Reason::NotAvailable)?;
    let exchange = accord::Exchange {
        sent: now,
        received: now + jiff::SignedDuration::from_secs(1),
    };
    let header = accord::header(answer);
    let heard = read_accord((header.as_bytes(), body), (signal, asked), exchange);
    let (what, observed_at) = match heard.map_err(|fault| fault.reason)? {
        Heard::Whole(what, observed_at) => (what, observed_at),
        Heard::Since(since) => {
            let mut known = Known::default();
            known.take(since);
            known.told().ok_or(Reason::Stale)?
        }
    };
    Ok(observation(what, observed_at))
}

const fn observation(what: Observed, observed_at: Timestamp) -> Observation {
    Observation {
        what,
        observed_at,
        source: SourceClass::Upstream,
    }
}

impl Source for CamaraUpstream {
    fn signals(&self) -> &[Signal] {
        &self.signals
    }

    fn observe<'a>(
        &'a self,
        msisdn: Msisdn,
        signals: &'a [Signal],
        deadline: Instant,
    ) -> SourceFuture<'a> {
        Box::pin(async move {
            let one = async |signal: Signal| (signal, self.one(signal, &msisdn, deadline).await);
            let signals = match signals {
                // Most questions are about one, which needs nobody to keep several apart.
                [signal] => vec![one(*signal).await],
                several => join_all(several.iter().map(|signal| one(*signal))).await,
            };
            Observations {
                signals,
                ..Observations::default()
            }
        })
    }

    fn state(&self) -> SourceState {
        self.state.get()
    }
}
