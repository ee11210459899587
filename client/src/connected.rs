//! From a profile to a client.

use std::{fs, io, path::PathBuf};

use accord_proto::c2sp::{KeyError, VerifierKey};

use crate::{
    audit::Auditor,
    builder::{BuildError, Builder, Missing},
    client::Client,
    identity::{Endpoints, Identity, IdentityError, Roots},
    profile::{LoadedProfile, PartySection},
    receipt::LogTrust,
    token_key::TokenKey,
};

/// The most bytes of a PEM file.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Why a profile gives no client. No text repeats a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A file that can't be read.
    #[error("can't read `{path}`, which the profile names as {what}")]
    File {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A part that is malformed.
    #[error("the profile's {what} can't be used")]
    Part {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: IdentityError,
    },
    /// A verifier key that is malformed.
    #[error("a verifier key of the profile can't be used")]
    VerifierKey(#[from] KeyError),
    /// Nothing says where the tiles are.
    #[error(
        "the profile does not say where the broker serves tiles (`tiles` under `[broker]`): name \
         the place with --from https://HOST:PORT"
    )]
    NoTiles,
    /// Without a key of the log nothing can be verified.
    #[error("no key of the log is known: name it with --key, or `vkeys` under `[ledger]`")]
    NoLogKey,
    /// A party without a token key asks about a number.
    #[error("the profile has no token key for `{0}`, so it can't ask about numbers")]
    NoTokenKey(String),
    /// The parts don't fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl LoadedProfile {
    /// A client that asks as a party of this profile.
    ///
    /// # Errors
    /// [`ConnectError`] names the file or the part.
    pub fn client(&self, party: &PartySection) -> Result<Client, ConnectError> {
        let no_key = || ConnectError::NoTokenKey(party.name.clone());
        let path = party.token_key.as_ref().ok_or_else(no_key)?;
        let kid = party.kid.as_ref().ok_or_else(no_key)?;
        let pem = self.read("the token key", path)?;
        let audience = &self.profile.broker.audience;
        let key = TokenKey::from_pem(party.alg, &pem, kid, audience)
            .map_err(part("token key and `alg` (ES256 where it is left out)"))?;
        let builder = self.builder(party)?.token_key(key);
        Ok(builder.application("accord").build()?)
    }

    /// A client that reads ledger and agreement as a party of this profile.
    ///
    /// # Errors
    /// [`ConnectError`] names the file or the part.
    pub fn auditor(&self, party: &PartySection) -> Result<Auditor, ConnectError> {
        Ok(self.builder(party)?.build_auditor()?)
    }

    /// The verifier keys of the log.
    ///
    /// # Errors
    /// [`ConnectError::VerifierKey`].
    pub fn log_keys(&self) -> Result<Vec<VerifierKey>, ConnectError> {
        let keys = self.profile.ledger.vkeys.iter();
        Ok(keys
            .map(|key| VerifierKey::parse(key))
            .collect::<Result<_, _>>()?)
    }

    fn builder(
        &self,
        party: &PartySection,
    ) -> Result<Builder<Endpoints, Roots, Identity, Missing>, ConnectError> {
        let broker = &self.profile.broker;
        let endpoints = Endpoints::new(&broker.server_name, &broker.endpoints)
            .map_err(part("broker endpoints"))?;
        let (roots, identity) = self.tls(party)?;
        let log = match &self.profile.ledger.origin {
            Some(origin) => LogTrust::of_ledger(origin),
            None => LogTrust::default(),
        };
        Ok(Client::builder()
            .endpoints(endpoints)
            .roots(roots)
            .identity(identity)
            .log(log.signed_by(self.log_keys()?)))
    }

    /// Whom a party of this profile believes, and as whom it is known.
    pub(crate) fn tls(&self, party: &PartySection) -> Result<(Roots, Identity), ConnectError> {
        let roots = &self.profile.broker.roots;
        let roots = Roots::from_pem(&self.read("roots", roots)?).map_err(part("roots"))?;
        let certificate = self.read("a certificate", &party.certificate)?;
        let key = self.read("a certificate's key", &party.key)?;
        let identity = Identity::from_pem(&certificate, &key).map_err(part("certificate"))?;
        Ok((roots, identity))
    }

    fn read(&self, what: &'static str, path: &std::path::Path) -> Result<Vec<u8>, ConnectError> {
        let path = self.path(path);
        let read = || {
            if fs::metadata(&path)?.len() > PEM_BYTES_MAX {
                return Err(io::Error::other("it is too long to be a PEM file"));
            }
            fs::read(&path)
        };
        read().map_err(|source| ConnectError::File {
            what,
            path: path.clone(),
            source,
        })
    }
}

fn part(what: &'static str) -> impl FnOnce(IdentityError) -> ConnectError {
    move |source| ConnectError::Part { what, source }
}
