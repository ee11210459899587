//! Who is asking: certificates, tokens and what becomes of them while a connection is open.
//!
//! ```text
//!   files ──▶ TrustStore (roots, revocation lists, own certificate; a generation per load)
//!                │ handshake                         │ changed()
//!   TCP ──▶ Incoming ──▶ PeerStream + Arc<Peer> ◀── sweep closes those no longer trusted
//!                             │ check(trust, now), for each call and each streamed line
//!   token ──▶ TokenVerifier ──┴──▶ Caller
//! ```
//!
//! On a door that only asks for certificates, a peer without one is known by its token, which is then
//! bound to a key that each request proves (DPoP).
//!
//! A certificate says who, a token for which application, purposes and principals. A chain that is
//! not trusted ends in a TLS alert, before anybody is known. A trusted certificate without exactly
//! one identity is let in and each of its calls refused, because an alert could not tell the caller
//! what is wrong with it.

mod accept;
mod caller;
mod claims;
mod closer;
mod connections;
mod dpop;
mod error;
mod gathered;
mod handshakes;
mod issued;
mod jti;
mod keys;
mod material;
mod metrics;
mod peer;
mod presented;
mod stream;
mod tls;
mod token;
mod trust;

pub use accept::{AcceptLimits, Incoming, RefusedConnection};
pub use caller::Caller;
pub(crate) use connections::network_of;
pub use connections::{ConnectionLimits, Connections, keep_current};
pub use dpop::{Proof, ProofBook, Target};
pub use error::IdentityError;
pub(crate) use issued::client_of;
pub use issued::{AskedWith, Granted, Registered, TokenIssuer};
pub use keys::{KeyDirectory, library_key};
pub use material::{LoadedFile, TlsFiles, TrustError};
pub use metrics::IdentityMetrics;
pub use peer::Peer;
pub use presented::{Presented, present, proof};
pub use stream::PeerStream;
pub use tls::{Certificates, Speaks};
pub use token::TokenVerifier;
pub use trust::{Reload, TrustLoaded, TrustStatus, TrustStore};
