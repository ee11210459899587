//! What `check-config` looks at: whatever `serve` would open, and nothing that opening would change.

use std::{fs, io, path::Path};

use accord_proto::{
    agreement::SignedAgreement, clock::SharedClock, parties::Parties,
    portability::PortabilityDatabase,
};

use super::{
    StartError,
    assemble::{authorities, ledger_config, tls_files},
    authorisation, routing, witnessing,
};
use crate::{
    config::Config,
    governance::{read_agreement, read_parties, read_ported},
    identity::{IdentityMetrics, TrustStatus, TrustStore},
    subjects::tag_keys::TagKeys,
    views::ViewError,
};

/// What a good configuration names.
#[derive(Debug)]
pub struct Checked {
    /// The agreement; whether its day has come is another matter.
    pub agreement: SignedAgreement,
    /// The list of parties.
    pub parties: Parties,
    /// How many numbers were ported.
    pub ported: usize,
    /// The portability database, where there is one.
    pub portability: Option<PortabilityDatabase>,
    /// How long certificates and revocation lists will do.
    pub trust: TrustStatus,
}

/// Opens every file that the configuration names, as [`start`](super::start) does. The ledger stays
/// closed: opening it may mend it, and only one may have it open.
///
/// # Errors
/// [`StartError`], as the start would have it.
pub fn check(config: &Config, clock: SharedClock) -> Result<Checked, StartError> {
    let now = clock.now();
    let domain = &config.broker.trust_domain;
    let portability = routing::check(config, &clock)?;
    let trust = TrustStore::open(tls_files(config), domain, clock, IdentityMetrics::default())?;
    TagKeys::check(&config.keys.dir, now)?;
    check_view_key(&config.keys.dir.join("view.key"))?;
    let ledger = ledger_config(config)?;
    witnessing::open(config, ledger.key.verifier())?;
    authorisation::check(config)?;
    let authorities = authorities(config)?;
    let documents = &config.documents;
    Ok(Checked {
        agreement: read_agreement(&documents.agreement, &authorities, None)?,
        parties: read_parties(&documents.parties, &authorities, None)?,
        ported: read_ported(documents.ported.as_deref())?.len(),
        portability,
        trust: trust.status(),
    })
}

/// One that is not there is made at the start.
fn check_view_key(path: &Path) -> Result<(), StartError> {
    match fs::read(path) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        Ok(_) => Err(ViewError::Key(path.to_owned()).into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StartError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
