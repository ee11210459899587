//! The signed documents: agreement and list of parties.

use std::path::{Path, PathBuf};

use accord_certs::{TokenKey, disk};
use accord_client::TokenAlg;
use accord_proto::{
    agreement::{SignedAgreement, with_dates},
    c2sp::{SignedNote, SigningKey},
    document::Authorities,
    shares::{ShareKey, ShareSecret},
};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{BankSpec, ClientSpec, OperatorSpec, WorldError, WorldSpec, files::read};

/// The authority that licenses operators.
pub const TELECOM_REGULATOR: &str = "telecom-regulator";
/// The authority that licenses banks.
pub const CENTRAL_BANK: &str = "central-bank";

/// The authorities' keys: with which they sign, and to which halves of a month's key are sealed.
pub(super) struct Signers {
    keys: [SigningKey; 2],
    share_keys: [ShareKey; 2],
}

impl Signers {
    /// Reads the keys, and makes those that are missing.
    pub(super) fn open(dir: &Path) -> Result<Self, WorldError> {
        disk::private_dir(dir)?;
        let key = |name| open_key(&dir.join(format!("{name}.key")), name);
        let share_key = |name| open_share_key(&dir.join(format!("{name}.share.key")), name);
        Ok(Self {
            keys: [key(TELECOM_REGULATOR)?, key(CENTRAL_BANK)?],
            share_keys: [share_key(TELECOM_REGULATOR)?, share_key(CENTRAL_BANK)?],
        })
    }

    /// The verifier keys, the telecom regulator's first.
    pub(super) fn vkeys(&self) -> [String; 2] {
        self.keys.each_ref().map(|key| key.verifier().to_string())
    }

    pub(super) fn authorities(&self) -> Result<Authorities, WorldError> {
        let [telecom_regulator, central_bank] =
            self.keys.each_ref().map(|key| key.verifier().clone());
        Ok(Authorities::new(telecom_regulator, central_bank)?)
    }

    /// A note, signed by those of the authorities that `signs` picks by name.
    pub(super) fn sign(
        &self,
        text: &str,
        signs: impl Fn(&str) -> bool,
    ) -> Result<String, WorldError> {
        let mut note = SignedNote::unsigned(text)?;
        for key in self.keys.iter().filter(|key| signs(key.verifier().name())) {
            note.sign(key)?;
        }
        Ok(note.to_string())
    }
}

/// Reads a signing key, or makes one.
pub(super) fn open_key(path: &Path, name: &str) -> Result<SigningKey, WorldError> {
    if let Some(text) = read(path)? {
        return Ok(SigningKey::parse(text.trim())?);
    }
    let key = SigningKey::generate(name)?;
    disk::write_private(path, &format!("{}\n", key.to_secret_text().expose()))?;
    Ok(key)
}

/// Reads what opens an authority's halves, or makes it.
fn open_share_key(path: &Path, name: &str) -> Result<ShareKey, WorldError> {
    if let Some(text) = read(path)? {
        return Ok(ShareSecret::parse(&text)?.key().clone());
    }
    let secret = ShareSecret::generate(name)?;
    disk::write_private(path, &format!("{}\n", secret.to_secret_text().expose()))?;
    Ok(secret.key().clone())
}

/// The text with these keys in its table `[share_keys]`.
fn with_share_keys(text: &str, [telecom_regulator, central_bank]: &[ShareKey; 2]) -> String {
    let mut inside = false;
    text.split_inclusive('\n')
        .map(|line| {
            if line.starts_with('[') {
                inside = line.trim_end() == "[share_keys]";
            }
            let key = match line.split_once(" = ") {
                Some((key @ "telecom_regulator", _)) if inside => (key, telecom_regulator),
                Some((key @ "central_bank", _)) if inside => (key, central_bank),
                Some(_) | None => return line.to_owned(),
            };
            format!("{} = \"{}\"\n", key.0, key.1)
        })
        .collect()
}

/// Writes the agreement, unless the one that is there has the same text, is in force, and will be
/// for more than a month.
pub(super) fn write_agreement(
    path: &Path,
    text: &str,
    signers: &Signers,
    now: Timestamp,
) -> Result<(), WorldError> {
    let text = &with_share_keys(text, &signers.share_keys);
    let old = read(path)?;
    if let Some(note) = &old
        && let Ok(signed) = SignedAgreement::open(note, &signers.authorities()?, None)
    {
        let document = signed.document();
        let term = document.term();
        let text = with_dates(text, term.effective(), term.expires())?;
        let same = note.starts_with(&with_version(&text, document.version()));
        let lasts = term.check_in_force(now).is_ok() && term.warning_days(now).is_none();
        if same && lasts {
            return Ok(());
        }
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let text = with_dates(text, month_start(today), next_year(today))?;
    let text = with_version(&text, next_version(old.as_deref()));
    Ok(disk::write_public(path, &signers.sign(&text, |_| true)?)?)
}

fn month_start(day: Date) -> Date {
    day.first_of_month()
}

fn next_year(day: Date) -> Date {
    day.first_of_month().saturating_add(1.year().months(1))
}

/// One above the version of a document that is there.
pub(super) fn next_version(old: Option<&str>) -> u64 {
    let version = |text: &str| {
        let value = text.lines().find_map(version_value)?;
        value.parse::<u64>().ok()
    };
    old.and_then(version).map_or(1, |version| version + 1)
}

/// The text with another version, everything else to the byte as it was.
pub(super) fn with_version(text: &str, version: u64) -> String {
    let mut done = false;
    text.split_inclusive('\n')
        .map(|line| {
            if !done && version_value(line).is_some() {
                done = true;
                format!("version = {version}\n")
            } else {
                line.to_owned()
            }
        })
        .collect()
}

fn version_value(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix("version = ")
}

/// The folder of the banks' token keys, and what the list of parties says of everybody.
pub(super) struct Register<'a> {
    pub(super) pki: PathBuf,
    pub(super) spec: &'a WorldSpec,
}

impl Register<'_> {
    /// Writes the list of parties, unless the one that is there says the same. Token keys that are
    /// missing are made.
    pub(super) fn write(&self, path: &Path, signers: &Signers) -> Result<(), WorldError> {
        let old = read(path)?;
        let mut parties = String::new();
        for (at, bank) in self.spec.banks.iter().enumerate() {
            parties.push_str(&self.bank(at + 1, bank)?);
        }
        for (at, operator) in self.spec.operators.iter().enumerate() {
            parties.push_str(&self.operator(at + 1, operator));
        }
        let header = "[parties]\nid = \"SANDBOX-PARTIES\"\n";
        let text = |version| format!("{header}version = {version}\n{parties}");
        if let Some(old) = &old {
            let version = next_version(Some(old)) - 1;
            if signers.sign(&text(version), |_| true)? == *old {
                return Ok(());
            }
        }
        let note = signers.sign(&text(next_version(old.as_deref())), |_| true)?;
        Ok(disk::write_public(path, &note)?)
    }

    fn bank(&self, number: usize, bank: &BankSpec) -> Result<String, WorldError> {
        let stem = format!("{}.token", bank.name);
        let path = self.pki.join(format!("{stem}.pub"));
        let public = match read(&path)? {
            Some(public) => public,
            None => {
                let key = match bank.alg {
                    TokenAlg::EdDsa => TokenKey::ed25519(),
                    TokenAlg::Es256 => TokenKey::es256(),
                }?;
                key.write(&self.pki, &stem)?;
                key.public_pem()
            }
        };
        let alg = match bank.alg {
            TokenAlg::EdDsa => "EdDSA",
            TokenAlg::Es256 => "ES256",
        };
        Ok(format!(
            "\n[[party]]\nid = \"spiffe://{}/bank/{name}\"\nname = \"{}\"\n{}\n[[party.keys]]\n\
             kid = \"{}\"\nalg = \"{alg}\"\npublic_key = \"\"\"\n{}\n\"\"\"\n{clients}",
            self.spec.trust_domain,
            bank.title,
            licence(&format!("B-{number}"), "Central Bank"),
            kid(bank),
            public.trim(),
            name = bank.name,
            clients = bank.clients.iter().map(client).collect::<String>(),
        ))
    }

    fn operator(&self, number: usize, operator: &OperatorSpec) -> String {
        let ranges: Vec<String> = operator
            .ranges
            .iter()
            .map(|range| format!("\"{range}\""))
            .collect();
        format!(
            "\n[[party]]\nid = \"spiffe://{}/operator/{}\"\nname = \"{}\"\nranges = [{}]\n{}",
            self.spec.trust_domain,
            operator.name,
            operator.title,
            ranges.join(", "),
            licence(&format!("M-{number}"), "Telecom Regulator"),
        )
    }
}

/// An application of a bank, as it is registered.
fn client(client: &ClientSpec) -> String {
    let purposes: Vec<_> = client
        .purposes
        .iter()
        .map(|(stated, ours)| format!("\"{stated}\" = \"{ours}\""))
        .collect();
    let scopes: Vec<_> = client
        .scopes
        .iter()
        .map(|scope| format!("    \"{scope}\",\n"))
        .collect();
    format!(
        "\n[[party.client]]\nid = \"{}\"\npurposes = {{ {} }}\nscopes = [\n{}]\n",
        client.id,
        purposes.join(", "),
        scopes.concat(),
    )
}

/// The id of a bank's token key.
pub(super) fn kid(bank: &BankSpec) -> String {
    format!("{}-1", bank.name)
}

fn licence(number: &str, supervisor: &str) -> String {
    format!(
        "licence = {{ number = \"{number}\", supervisor = \"{supervisor}\", from = 2020-01-01, \
         status = \"active\" }}\n"
    )
}
