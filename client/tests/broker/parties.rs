//! The parties of a test: certificates, keys, clients and profiles.

use std::{net::SocketAddr, path::Path, time::Duration};

use accord_certs::{Leaf, LeafOptions, Pki, TokenKey as MadeKey};
use accord_client::{
    Client, Endpoints, Identity, LogTrust, Roots, TokenAlg, TokenKey,
    profile::{
        AgreementSection, BrokerSection, LedgerSection, PartySection, Profile, ProfileRole,
        STATEMENT_FILE_NAME, StatementFile,
    },
};
use accord_proto::{clock::SystemClock, purpose::Purpose, statement::Sensitivity};

use crate::ledger::log_key;

/// The parties of a test.
pub(crate) struct Parties {
    pub(crate) pki: Pki,
    pub(crate) bank: Leaf,
    pub(crate) authority: Leaf,
    pub(crate) token_key: MadeKey,
}

impl Parties {
    pub(crate) fn new() -> Self {
        let now = SystemClock::shared().now();
        let pki = Pki::new("accord.test", now).unwrap();
        let options = LeafOptions::at(now);
        Self {
            bank: pki.issue("bank", "first-bank", &options).unwrap(),
            authority: pki.issue("authority", "central-bank", &options).unwrap(),
            token_key: MadeKey::es256().unwrap(),
            pki,
        }
    }

    pub(crate) fn client(&self, addresses: &[SocketAddr]) -> Client {
        self.client_within(addresses, Duration::from_secs(20))
    }

    pub(crate) fn client_within(&self, addresses: &[SocketAddr], deadline: Duration) -> Client {
        let urls = addresses.iter().map(|address| format!("https://{address}"));
        let pem = self.token_key.private_pem();
        let key = TokenKey::from_pem(TokenAlg::Es256, pem.as_bytes(), "k1", "accord-test");
        Client::builder()
            .endpoints(Endpoints::new("localhost", urls).unwrap())
            .roots(Roots::from_pem(self.pki.certificate_pem().as_bytes()).unwrap())
            .identity(identity(&self.bank))
            .token_key(key.unwrap())
            .log(LogTrust::of_ledger("accord-test"))
            .deadline(deadline)
            .build()
            .unwrap()
    }

    /// A profile of these parties in a directory.
    pub(crate) fn write_profile(&self, dir: &Path, address: SocketAddr) {
        let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        put("roots.pem", self.pki.certificate_pem());
        put("bank.pem", self.bank.certificate_pem());
        put("bank.key", self.bank.key_pem());
        put("token.key", &self.token_key.private_pem());
        put("authority.pem", self.authority.certificate_pem());
        put("authority.key", self.authority.key_pem());
        let party = |name: &str, role, file: &str, token: bool| PartySection {
            name: name.to_owned(),
            role,
            spiffe_id: format!("spiffe://accord.test/x/{name}"),
            certificate: format!("{file}.pem").into(),
            key: format!("{file}.key").into(),
            token_key: token.then(|| "token.key".into()),
            kid: token.then(|| "k1".to_owned()),
            alg: TokenAlg::Es256,
            purpose: token.then_some(Purpose::Payment),
        };
        let profile = Profile {
            broker: BrokerSection {
                endpoints: vec![format!("https://{address}")],
                server_name: "localhost".to_owned(),
                tiles: None,
                camara: None,
                audience: "accord-test".to_owned(),
                roots: "roots.pem".into(),
            },
            ledger: LedgerSection {
                origin: Some("accord-test".to_owned()),
                vkeys: vec![log_key().verifier().to_string()],
                dir: None,
            },
            agreement: None::<AgreementSection>,
            parties: vec![
                party("first-bank", ProfileRole::Bank, "bank", true),
                party("central-bank", ProfileRole::Authority, "authority", false),
            ],
        };
        profile.write(dir).unwrap();
        let statement = StatementFile {
            description: Some("the test's two entries".to_owned()),
            purpose: Some("testing".to_owned()),
            sensitivity: Some(Sensitivity::Internal),
            recipients: vec!["the test".to_owned()],
            needed_within_days: Some(30),
            ..StatementFile::default()
        };
        let statement = toml::to_string(&statement).unwrap();
        put(STATEMENT_FILE_NAME, &statement);
    }
}

/// What a client shows of a certificate and its key.
pub(crate) fn identity(leaf: &Leaf) -> Identity {
    let (certificate, key) = (leaf.certificate_pem(), leaf.key_pem());
    Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}
