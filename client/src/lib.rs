//! What a bank or an authority imports to call Accord, and the command `accord`.
//!
//! ```text
//!   Client   lookup · screen ──▶ token ──▶ failover ──▶ TLS 1.3 ──▶ broker, another broker …
//!   Auditor  stating ──▶ checkpoint · entry · proofs · tail · agreement
//!   words    answers for people        profile   where the broker is, and as whom to ask
//! ```
//!
//! A client can't be built without endpoints, roots, certificate and token key. It makes its own
//! short-lived tokens, repeats a question only where the broker will give its first answer again,
//! holds every answer against its question, and checks each receipt.
//!
//! # A whole program
//!
//! ```no_run
//! use std::{error::Error, fs, path::Path, time::Duration};
//!
//! use accord_client::{
//!     CallError, Client, Endpoints, Identity, LogTrust, Lookup, Purpose, Roots, Signal, TokenAlg,
//!     TokenKey, Value, VerifierKey,
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let dir = Path::new("/etc/accord");
//!     let client = client(dir)?;
//!     match may_pay(&client, "+447700900001").await {
//!         Ok(true) => println!("pay"),
//!         Ok(false) => println!("ask the customer again, in another way"),
//!         // A question that the agreement does not allow, for one: it is of no use to repeat it.
//!         Err(CallError::Refused(refusal)) => println!("refused: {refusal}"),
//!         Err(error) => return Err(error.into()),
//!     }
//!     // A certificate lasts 90 days. Whoever runs for longer does this each day, say.
//!     client.renew(identity(dir)?, token_key(dir)?)?;
//!     Ok(())
//! }
//!
//! /// Whether a payment may go on without asking the customer again, in another way.
//! async fn may_pay(client: &Client, number: &str) -> Result<bool, CallError> {
//!     let question = Lookup::about(number, Purpose::Payment).sim_swap_within(72);
//!     let answered = client.lookup(question).await?;
//!     // Keep these four if you may ever have to prove what you were told. The proof can be fetched
//!     // later; a question `.with_proof()` has it at once.
//!     let _evidence = (
//!         &answered.answer_bytes,
//!         &answered.nonce,
//!         &answered.receipt.leaf_hash,
//!         &answered.receipt.proof,
//!     );
//!     match answered.value_of(Signal::SimSwap) {
//!         Some(Value::YesNo(false)) => Ok(true),
//!         // A swap, or no value: unknown is never *no*. `answered.of(Signal::SimSwap)` has the reason.
//!         Some(_) | None => Ok(false),
//!     }
//! }
//!
//! /// Of the files in a directory. No connection is made yet.
//! fn client(dir: &Path) -> Result<Client, Box<dyn Error>> {
//!     // The name is the one in the brokers' certificates; the second broker stands in for the
//!     // first when that one does not answer.
//!     let endpoints = Endpoints::new(
//!         "broker.accord.example",
//!         [
//!             "https://broker-a.accord.example:7443",
//!             "https://broker-b.accord.example:7443",
//!         ],
//!     )?;
//!     let log_key = VerifierKey::parse(&fs::read_to_string(dir.join("log.vkey"))?)?;
//!     let client = Client::builder()
//!         .endpoints(endpoints)
//!         .roots(Roots::from_pem(&fs::read(dir.join("roots.pem"))?)?)
//!         .identity(identity(dir)?)
//!         .token_key(token_key(dir)?)
//!         .log(LogTrust::of_ledger("accord.example").signed_by([log_key]))
//!         .deadline(Duration::from_secs(2))
//!         .build()?;
//!     Ok(client)
//! }
//!
//! /// The certificate as whose owner the bank is known, and its key.
//! fn identity(dir: &Path) -> Result<Identity, Box<dyn Error>> {
//!     let certificate = fs::read(dir.join("bank.pem"))?;
//!     let key = fs::read(dir.join("bank.key"))?;
//!     Ok(Identity::from_pem(&certificate, &key)?)
//! }
//!
//! /// The key that signs the bank's tokens.
//! fn token_key(dir: &Path) -> Result<TokenKey, Box<dyn Error>> {
//!     let key = TokenKey::from_pem(
//!         TokenAlg::Es256,
//!         &fs::read(dir.join("token.key"))?,
//!         "first-bank-1",   // the id under which its public half is registered
//!         "accord.example", // the broker's name: `aud` of the tokens
//!     )?;
//!     Ok(key)
//! }
//! ```
//!
//! # Many numbers
//!
//! ```no_run
//! # async fn screen(client: accord_client::Client, numbers: Vec<String>)
//! # -> Result<(), accord_client::CallError> {
//! use accord_client::{Lookup, Purpose, Scope};
//!
//! let lines = numbers.into_iter().enumerate().map(|(at, number)| {
//!     (at, Lookup::about(number, Purpose::DormantAccount).sim_swap())
//! });
//! let scope = Scope::new([Purpose::DormantAccount]);
//! let mut results = client.screen_all(scope, lines);
//! while let Some(result) = results.next().await {
//!     let screened = result?;
//!     println!("line {}: {}", screened.tag, screened.outcome.is_ok());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Lines that are still to come are given to [`Client::screen`] as a stream.

pub mod answer;
mod audit;
mod builder;
mod client;
#[cfg(feature = "command")]
pub mod command;
mod connect;
mod connected;
mod disk;
#[cfg(feature = "command")]
mod entry_view;
#[cfg(feature = "command")]
pub mod export;
mod failover;
#[cfg(feature = "command")]
pub mod footer;
pub mod held;
mod identity;
pub mod mirror;
pub mod oauth;
pub mod profile;
mod question;
mod random;
mod receipt;
mod refusal;
#[cfg(feature = "command")]
pub mod report;
mod screen;
mod session;
mod token;
mod token_key;
pub mod unmask;
#[cfg(feature = "command")]
mod unreached;
#[cfg(feature = "command")]
pub mod usage;
#[cfg(feature = "command")]
pub mod witness;
pub mod words;

pub use answer::{Answer, Answered, Mistrust, Outcome, SignalOutcome, Value};
pub use audit::query::{PAGE_SIZE_MAX, QueryPage, Search};
pub use audit::stored::{StoredError, stored_entries};
pub use audit::verify::{UnsignedTail, Verified, VerifiedLog, VerifyError, verify_dir};
pub use audit::{
    ActTaken, AgreementHistory, AgreementInForce, Auditor, LedgerEntry, ProvedAccess,
    SignedCheckpoint, SubjectReport, Tail, verify,
};
pub use builder::{BuildError, Builder, DEADLINE_MAX, DEADLINE_MS, Missing};
pub use client::Client;
pub use connected::ConnectError;
pub use failover::ATTEMPTS_MAX;
pub use identity::{ENDPOINTS_MAX, Endpoints, Identity, IdentityError, Roots};
pub use profile::TokenAlg;
pub use question::Lookup;
pub use receipt::{Assurance, LogTrust, Receipt};
pub use refusal::{CallError, Refusal};
pub use screen::{LineError, Screened, Screening, WINDOW_MAX};
pub use token::{Scope, TOKEN_LIFE_S, TokenError};
pub use token_key::TokenKey;

// What questions and answers are made of, so that a bank's program needs no other crate for it.
pub use accord_proto::{
    band::AgeBand,
    c2sp::VerifierKey,
    observation::{
        AttackKind, Forwarding, ForwardingCondition, ForwardingTarget, Roaming, SourceClass,
        SwapKind,
    },
    party::PartyId,
    purpose::Purpose,
    reason::{Consequence, Fault, Reason},
    signal::{Question, Signal},
    statement::{Sensitivity, Statement},
    wire::FieldError,
};
pub use bytes::Bytes;
pub use jiff;
pub use tonic::{Code, Status};
