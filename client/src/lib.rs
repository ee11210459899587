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
//!     CallError, Client, Endpoints, Identity, LogTrust, Lookup, Outcome, Roots, TokenAlg, TokenKey,
//!     words::{Place, outcome_words},
//! };
//! use accord_proto::{c2sp::VerifierKey, purpose::Purpose};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let client = client(Path::new("/etc/accord"))?;
//!     let question = Lookup::about("+447700900001", Purpose::Payment)
//!         .sim_swap_within(72)
//!         .call_forwarding()
//!         .with_proof();
//!     match client.lookup(question).await {
//!         Ok(answered) => {
//!             for signal in answered.signals() {
//!                 match &signal.outcome {
//!                     Outcome::Value { .. } => println!("{}", outcome_words(signal, Place::Line)),
//!                     Outcome::Unanswered { reason, .. } if reason.consequence().retry => {
//!                         println!("{} later", signal.signal());
//!                     }
//!                     Outcome::Unanswered { reason, .. } => println!("no answer: {reason}"),
//!                 }
//!             }
//!             // Keep these four if you may ever have to prove what you were told.
//!             let _evidence = (
//!                 &answered.answer_bytes,
//!                 &answered.nonce,
//!                 &answered.receipt.leaf_hash,
//!                 &answered.receipt.proof,
//!             );
//!         }
//!         Err(CallError::Refused(refusal)) => println!("refused: {refusal}"),
//!         Err(error) => return Err(error.into()),
//!     }
//!     Ok(())
//! }
//!
//! /// Of the files in a directory. No connection is made yet.
//! fn client(dir: &Path) -> Result<Client, Box<dyn Error>> {
//!     let read = |name: &str| fs::read(dir.join(name));
//!     // The name is the one in the brokers' certificates; the second broker stands in for the
//!     // first when that one does not answer.
//!     let endpoints = Endpoints::new(
//!         "broker.accord.example",
//!         [
//!             "https://broker-a.accord.example:7443",
//!             "https://broker-b.accord.example:7443",
//!         ],
//!     )?;
//!     let token_key = TokenKey::from_pem(
//!         TokenAlg::Es256,
//!         &read("token.key")?,
//!         "first-bank-1",   // the id under which the key is registered
//!         "accord.example", // the broker's name: `aud` of the tokens
//!     )?;
//!     let log_key = VerifierKey::parse(&fs::read_to_string(dir.join("log.vkey"))?)?;
//!     let client = Client::builder()
//!         .endpoints(endpoints)
//!         .roots(Roots::from_pem(&read("roots.pem")?)?)
//!         .identity(Identity::from_pem(&read("bank.pem")?, &read("bank.key")?)?)
//!         .token_key(token_key)
//!         .log(LogTrust::of_ledger("accord.example").signed_by([log_key]))
//!         .deadline(Duration::from_secs(2))
//!         .build()?;
//!     Ok(client)
//! }
//! ```
//!
//! # Many numbers
//!
//! ```no_run
//! # async fn screen(client: accord_client::Client, numbers: Vec<String>)
//! # -> Result<(), accord_client::CallError> {
//! use accord_client::{Lookup, Scope};
//! use accord_proto::purpose::Purpose;
//!
//! let lines = numbers.into_iter().enumerate().map(|(at, number)| {
//!     (at, Lookup::about(number, Purpose::DormantAccount).sim_swap())
//! });
//! let scope = Scope::new([Purpose::DormantAccount]);
//! let mut results = client.screen(scope, tokio_stream::iter(lines));
//! while let Some(result) = results.next().await {
//!     let screened = result?;
//!     println!("line {}: {}", screened.tag, screened.outcome.is_ok());
//! }
//! # Ok(())
//! # }
//! ```

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
mod token;
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
pub use identity::{ENDPOINTS_MAX, Endpoints, Identity, IdentityError, Roots, TokenKey};
pub use profile::TokenAlg;
pub use question::Lookup;
pub use receipt::{Assurance, LogTrust, Receipt};
pub use refusal::{CallError, Refusal};
pub use screen::{LineError, Screened, Screening, WINDOW_MAX};
pub use token::{Scope, TOKEN_LIFE_S, TokenError};
