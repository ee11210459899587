//! The configurations: broker, adapters, and the clients' profile.

use std::fmt::Write as _;

use accord_client::profile::{
    AgreementSection, BrokerSection, LedgerSection, PartySection, Profile, ProfileRole, TokenAlg,
};

use super::{
    CENTRAL_BANK, OperatorSpec, TELECOM_REGULATOR, WorldSpec, documents::kid, ports::Ports,
    witnesses::POLICY_FILE,
};

/// The DNS name in the broker's certificate.
const SERVER_NAME: &str = "localhost";

/// `broker.toml`.
pub(super) fn broker(spec: &WorldSpec, ports: Ports, vkeys: &[String; 2]) -> String {
    let Ports {
        grpc,
        admin,
        tiles,
        camara,
    } = ports;
    let (listens, section) = camara.map_or_else(Default::default, |port| camara_door(spec, port));
    let [telecom_regulator, central_bank] = vkeys;
    let WorldSpec {
        trust_domain,
        ledger_name,
        segment_mib,
        free_mib_min,
        ..
    } = spec;
    let mut text = format!(
        r#"# The sandbox's broker. `broker/broker.full.toml` explains every key.

[broker]
audience = "{ledger_name}"
trust_domain = "{trust_domain}"

[listen]
grpc = "127.0.0.1:{grpc}"
admin = "127.0.0.1:{admin}"
tiles = "127.0.0.1:{tiles}"
{listens}{section}
[tls]
certificate = "pki/broker.pem"
key = "pki/broker.key"
client_roots = "pki/ca.pem"
revocation_lists = ["pki/ca.crl"]

[documents]
agreement = "agreement.toml"
parties = "parties.toml"

[authorities]
telecom_regulator = "{telecom_regulator}"
central_bank = "{central_bank}"

[ledger]
dir = "ledger"
signing_key = "ledger.key"
name = "{ledger_name}"
segment_mib = {segment_mib}
free_mib_min = {free_mib_min}

[keys]
dir = "keys"

[views]
dir = "view"

[replay]
dir = "replay"

[index]
dir = "index"
"#
    );
    if spec.witnessed {
        // Writing into a text can't fail.
        let _ = write!(text, "\n[witnesses]\npolicy = \"{POLICY_FILE}\"\n");
    }
    if !spec.limits.is_empty() {
        text.push_str("\n[limits]\n");
    }
    for (key, value) in &spec.limits {
        // Writing into a text can't fail.
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

/// Where the CAMARA door listens, and its section.
fn camara_door(spec: &WorldSpec, port: u16) -> (String, String) {
    let (url, roots) = (camara_url(port), &spec.api_roots);
    (
        format!("camara = \"127.0.0.1:{port}\"\n"),
        format!("\n[camara]\nurl = \"{url}\"\napi_roots = {roots:?}\n"),
    )
}

/// Where clients reach the CAMARA APIs.
pub(super) fn camara_url(port: u16) -> String {
    format!("https://{SERVER_NAME}:{port}")
}

/// `adapters/<operator>.toml`.
pub(super) fn adapter(operator: &OperatorSpec, grpc_port: u16) -> String {
    let name = &operator.name;
    let source = &operator.source;
    format!(
        r#"# The adapter of {name}: it dials the broker from inside the operator's perimeter.
operator = "{name}"
instance = "a"

[[broker]]
endpoint = "https://127.0.0.1:{grpc_port}"
domain = "{SERVER_NAME}"

[tls]
roots = "../pki/ca.pem"
certificate = "../pki/{name}.pem"
key = "../pki/{name}.key"

[journal]
dir = "{name}/journal"
subject_key_file = "{name}/subject.key"
checkpoint_key_file = "{name}/checkpoint.key"
file_mib_max = 16
files_max = 16

[[source]]
{source}"#
    )
}

/// `statement.toml`: what `accord audit` states where the command line does not say.
pub(super) const STATEMENT: &str = r#"# What you state with each read of the ledger, where the command line does not say. It stands in
# the record with the read.
description = "entries of the sandbox's ledger"
purpose = "trying out what an auditor sees"
sensitivity = "internal"
recipients = ["whoever runs this sandbox"]
needed_within_days = 90
"#;

/// `profile.toml`.
pub(super) fn profile(
    spec: &WorldSpec,
    ports: Ports,
    log_vkey: String,
    authority_vkeys: &[String; 2],
) -> Profile {
    let party = |name: &str, role: ProfileRole| PartySection {
        name: name.to_owned(),
        role,
        spiffe_id: format!("spiffe://{}/{}/{name}", spec.trust_domain, role.name()),
        certificate: format!("pki/{name}.pem").into(),
        key: format!("pki/{name}.key").into(),
        token_key: None,
        kid: None,
        alg: TokenAlg::default(),
        purpose: None,
    };
    let banks = spec.banks.iter().map(|bank| PartySection {
        token_key: Some(format!("pki/{}.token.key", bank.name).into()),
        kid: Some(kid(bank)),
        alg: bank.alg,
        purpose: Some(bank.purpose),
        ..party(&bank.name, ProfileRole::Bank)
    });
    let operators = spec.operators.iter();
    let operators = operators.map(|operator| party(&operator.name, ProfileRole::Operator));
    let authorities = [TELECOM_REGULATOR, CENTRAL_BANK];
    let authorities = authorities.map(|name| party(name, ProfileRole::Authority));
    Profile {
        broker: BrokerSection {
            endpoints: vec![format!("https://127.0.0.1:{}", ports.grpc)],
            server_name: SERVER_NAME.to_owned(),
            tiles: Some(format!("https://127.0.0.1:{}", ports.tiles)),
            camara: ports.camara.map(camara_url),
            audience: spec.ledger_name.clone(),
            roots: "pki/ca.pem".into(),
        },
        ledger: LedgerSection {
            origin: Some(spec.ledger_name.clone()),
            vkeys: vec![log_vkey],
            dir: Some("ledger".into()),
        },
        agreement: Some(AgreementSection {
            file: "agreement.toml".into(),
            authority_vkeys: authority_vkeys.to_vec(),
        }),
        parties: banks.chain(authorities).chain(operators).collect(),
    }
}
