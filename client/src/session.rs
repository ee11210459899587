//! The connections of a client, and how another certificate takes the place of theirs.
//!
//! A token is bound to the certificate of the connection on which it is shown (RFC 8705), so each call
//! and each stream takes connections and thumbprint together, and ends with those that it began with.

use std::sync::{Arc, Mutex, PoisonError};

use accord_proto::party::PartyId;

use crate::{
    builder::BuildError,
    connect,
    failover::Failover,
    identity::{Endpoints, Identity, Roots},
};

/// The connections, which all clones of a client share.
#[derive(Debug)]
pub(crate) struct Connections {
    endpoints: Endpoints,
    roots: Roots,
    party: PartyId,
    present: Mutex<Arc<Session>>,
}

/// The connections that were made with one certificate.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) failover: Failover,
    /// Of the certificate: what a token is bound to.
    pub(crate) thumbprint: Arc<str>,
}

impl Connections {
    /// Nothing is sent yet.
    pub(crate) fn new(
        endpoints: Endpoints,
        roots: Roots,
        identity: Identity,
    ) -> Result<Self, BuildError> {
        let party = identity.party().clone();
        let session = session(&endpoints, &roots, identity, 0)?;
        Ok(Self {
            endpoints,
            roots,
            party,
            present: Mutex::new(Arc::new(session)),
        })
    }

    pub(crate) const fn party(&self) -> &PartyId {
        &self.party
    }

    /// What a call or a stream that begins now goes by.
    pub(crate) fn session(&self) -> Arc<Session> {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&present)
    }

    /// From now on calls and streams begin on connections with this certificate.
    pub(crate) fn renew(&self, identity: Identity) -> Result<(), BuildError> {
        if *identity.party() != self.party {
            return Err(BuildError::OtherParty {
                found: identity.party().to_string(),
                expected: self.party.to_string(),
            });
        }
        // Which broker answered last has nothing to do with the certificate.
        let first = self.session().failover.first();
        let session = Arc::new(session(&self.endpoints, &self.roots, identity, first)?);
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = session;
        Ok(())
    }
}

fn session(
    endpoints: &Endpoints,
    roots: &Roots,
    identity: Identity,
    first: usize,
) -> Result<Session, BuildError> {
    tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
    let thumbprint = Arc::from(identity.thumbprint());
    let brokers = connect::brokers(endpoints.clone(), roots.clone(), identity);
    let failover = Failover::new(brokers.map_err(BuildError::Identity)?);
    failover.prefer(first);
    Ok(Session {
        failover,
        thumbprint,
    })
}
