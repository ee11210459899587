//! An application of a bank, with what its token allows.

use accord_proto::party::{OrgName, PartyId};
use accord_proto::purpose::Purpose;
use jiff::Timestamp;

use super::claims::Claims;

/// Which application of which bank asks, for what purposes and on whose behalf. Made by
/// [`TokenVerifier::verify`](super::TokenVerifier::verify) alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    party: PartyId,
    application: String,
    purposes: Vec<Purpose>,
    on_behalf_of: Vec<OrgName>,
    expires: Timestamp,
}

impl Caller {
    pub(super) fn new(party: PartyId, claims: Claims) -> Self {
        Self {
            party,
            application: claims.sub,
            purposes: claims.purposes,
            on_behalf_of: claims.on_behalf_of,
            expires: claims.expires,
        }
    }

    /// The bank.
    #[must_use]
    pub const fn party(&self) -> &PartyId {
        &self.party
    }

    /// The application, as the bank names it (`sub`).
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Whether the token covers this purpose.
    #[must_use]
    pub fn may(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }

    /// Whether the token covers this principal. A bank needs no leave to act for itself.
    #[must_use]
    pub fn may_act_for(&self, principal: &OrgName) -> bool {
        principal == self.party.org() || self.on_behalf_of.contains(principal)
    }

    /// When the token expires.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}
