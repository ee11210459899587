//! An application of a bank, with what its token allows.

use accord_proto::camara::ClientId;
use accord_proto::party::{OrgName, PartyId};
use accord_proto::purpose::Purpose;
use jiff::Timestamp;

use super::claims::Claims;
use super::issued::Granted;

/// Which application of which bank asks, for what purposes and on whose behalf. Made by
/// [`TokenVerifier::verify`](super::TokenVerifier::verify) alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    party: PartyId,
    application: String,
    purposes: Vec<Purpose>,
    on_behalf_of: Vec<OrgName>,
    expires: Timestamp,
    granted: Option<Granted>,
}

impl Caller {
    pub(super) fn new(party: PartyId, claims: Claims) -> Self {
        Self {
            party,
            application: claims.sub,
            purposes: claims.purposes,
            on_behalf_of: claims.on_behalf_of,
            expires: claims.expires,
            granted: None,
        }
    }

    pub(super) fn of_client(
        party: PartyId,
        client: &ClientId,
        granted: Granted,
        expires: Timestamp,
    ) -> Self {
        Self {
            party,
            application: client.as_str().to_owned(),
            purposes: vec![granted.purpose],
            on_behalf_of: Vec::new(),
            expires,
            granted: Some(granted),
        }
    }

    /// What its token grants, where an authorisation server issued it; a token that the bank signed
    /// itself is bounded by its purposes alone.
    #[must_use]
    pub const fn granted(&self) -> Option<&Granted> {
        self.granted.as_ref()
    }

    /// The bank.
    #[must_use]
    pub const fn party(&self) -> &PartyId {
        &self.party
    }

    /// The application, as the bank names it: `sub`, or the `client_id` of an issued token.
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
