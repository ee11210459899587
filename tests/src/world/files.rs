//! The directory of a world.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use accord_broker::ledger::Ledger;
use accord_certs::{Pki, disk};
use accord_client::profile::STATEMENT_FILE_NAME;
use accord_proto::{
    c2sp::{SignedNote, VerifierKey},
    document::Authorities,
};
use jiff::Timestamp;

use super::{
    CENTRAL_BANK, TELECOM_REGULATOR, WorldError, WorldSpec, configs,
    documents::{self, Register, Signers},
    pki::PkiDir,
    ports::{Ports, free_port},
};

/// What a run leaves behind, and a fresh start removes. Certificates, the authorities' keys and
/// the signed documents stay.
const STATE: [&str; 9] = [
    "ledger",
    "ledger.key",
    "keys",
    "sealed",
    "view",
    "replay",
    "index",
    "adapters",
    "witnesses",
];

/// The directory of a world, and what stands in it.
#[derive(Clone, Debug)]
pub struct WorldFiles {
    dir: PathBuf,
    spec: WorldSpec,
    ports: Ports,
}

impl WorldFiles {
    /// Writes a world into a directory. What is there and still good is kept: keys, certificates,
    /// an agreement with the same text that is in force, the ledger.
    ///
    /// # Errors
    /// [`WorldError`] names the file.
    pub fn write(dir: &Path, spec: &WorldSpec) -> Result<Self, WorldError> {
        disk::private_dir(dir)?;
        let files = Self {
            dir: dir.to_owned(),
            spec: spec.clone(),
            ports: Ports {
                grpc: spec.grpc_port,
                admin: spec.admin_port,
                tiles: spec.tiles_port,
                camara: spec.camara_port.map(free_port).transpose()?,
            },
        };
        let mut holders = vec![("broker", "broker")];
        holders.extend([TELECOM_REGULATOR, CENTRAL_BANK].map(|name| ("authority", name)));
        holders.extend(spec.banks.iter().map(|bank| ("bank", bank.name.as_str())));
        let operators = spec.operators.iter();
        holders.extend(operators.map(|operator| ("operator", operator.name.as_str())));
        files.pki_dir().write(&holders)?;
        let signers = files.signers()?;
        documents::write_agreement(
            &files.agreement_path(),
            &spec.agreement,
            &signers,
            files.now(),
        )?;
        let register = Register {
            pki: files.dir.join("pki"),
            spec,
        };
        register.write(&files.parties_path(), &signers)?;
        files.write_broker_config()?;
        files.init_ledger(&signers)?;
        files.write_endpoints()?;
        let statement = files.dir.join(STATEMENT_FILE_NAME);
        if !statement.exists() {
            disk::write_public(&statement, configs::STATEMENT)?;
        }
        Ok(files)
    }

    /// Removes what runs left behind: ledger, view, journals and their keys. Certificates, the
    /// authorities' keys and the signed documents stay.
    ///
    /// # Errors
    /// [`WorldError::Io`] names the file.
    pub fn forget_runs(dir: &Path) -> Result<(), WorldError> {
        for name in STATE {
            let path = dir.join(name);
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(WorldError::io("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Chooses free ports where the specification left them open, and writes them down, so that a
    /// broker comes back at the same place.
    ///
    /// # Errors
    /// If no port is free, or a file can't be written.
    pub fn fix_ports(&mut self) -> Result<(), WorldError> {
        self.ports = Ports {
            grpc: free_port(self.ports.grpc)?,
            admin: free_port(self.ports.admin)?,
            tiles: free_port(self.ports.tiles)?,
            camara: self.ports.camara,
        };
        self.write_broker_config()?;
        self.write_endpoints()
    }

    /// Tells adapters and clients where the broker listens.
    pub(super) fn set_ports(&mut self, ports: Ports) -> Result<(), WorldError> {
        if self.ports == ports {
            return Ok(());
        }
        self.ports = ports;
        self.write_endpoints()
    }

    /// Port of the CAMARA APIs, where the broker serves them.
    #[must_use]
    pub const fn camara_port(&self) -> Option<u16> {
        self.ports.camara
    }

    fn write_broker_config(&self) -> Result<(), WorldError> {
        let text = configs::broker(&self.spec, self.ports, &self.signers()?.vkeys());
        Ok(disk::write_public(&self.broker_config_path(), &text)?)
    }

    fn write_endpoints(&self) -> Result<(), WorldError> {
        let adapters = self.dir.join("adapters");
        disk::private_dir(&adapters)?;
        for operator in &self.spec.operators {
            disk::private_dir(&adapters.join(&operator.name))?;
            let text = configs::adapter(operator, self.ports.grpc);
            disk::write_public(&self.adapter_config_path(&operator.name), &text)?;
        }
        let vkey = self.log_vkey()?.to_string();
        let vkeys = self.signers()?.vkeys();
        let profile = configs::profile(&self.spec, self.ports, vkey, &vkeys);
        Ok(profile.write(&self.dir)?)
    }

    fn init_ledger(&self, signers: &Signers) -> Result<(), WorldError> {
        let path = self.dir.join("ledger.key");
        let key = documents::open_key(&path, &self.spec.ledger_name)?;
        if self.ledger_dir().join("log.vkey").exists() {
            return Ok(());
        }
        let authorities = signers.authorities()?;
        let pinned = [
            authorities.telecom_regulator().clone(),
            authorities.central_bank().clone(),
        ];
        let dir = self.ledger_dir();
        Ok(Ledger::init(&dir, &key, &pinned, &self.spec.clock)?)
    }

    /// Signs a text as the agreement, with both authorities' keys, and puts it in its place; a
    /// running broker takes it up within a second. Dates and version are those of the text.
    ///
    /// # Errors
    /// If the text can't be a note, or the file can't be written.
    pub fn resign_agreement(&self, text: &str) -> Result<(), WorldError> {
        let note = self.signers()?.sign(text, |_| true)?;
        self.replace_agreement(&note)
    }

    /// As [`resign_agreement`](Self::resign_agreement), with one authority's signature alone.
    ///
    /// # Errors
    /// As there.
    pub fn sign_agreement_once(&self, text: &str, authority: &str) -> Result<(), WorldError> {
        let note = self.signers()?.sign(text, |name| name == authority)?;
        self.replace_agreement(&note)
    }

    /// Puts any bytes in the agreement's place.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn replace_agreement(&self, note: &str) -> Result<(), WorldError> {
        Ok(disk::write_public(&self.agreement_path(), note)?)
    }

    /// The text of the agreement that stands in the directory, with a version one higher: to be
    /// edited and signed again.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn next_agreement_text(&self) -> Result<String, WorldError> {
        let path = self.agreement_path();
        let note = read(&path)?.ok_or_else(|| WorldError::malformed(&path, "absent"))?;
        let version = documents::next_version(Some(&note));
        let text = SignedNote::parse(&note)?.text().to_owned();
        Ok(documents::with_version(&text, version))
    }

    /// Puts a party's certificate on the revocation list; a running broker acts within a second.
    ///
    /// # Errors
    /// If the party has no certificate, or a file can't be written.
    pub fn revoke(&self, party: &str) -> Result<(), WorldError> {
        self.pki_dir().revoke(party)
    }

    /// Gives a party a new certificate and key.
    ///
    /// # Errors
    /// If a file can't be read or written.
    pub fn renew(&self, role: &str, party: &str) -> Result<(), WorldError> {
        self.pki_dir().issue(&self.pki()?, role, party).map(drop)
    }

    /// The CA, to issue odd certificates with.
    ///
    /// # Errors
    /// If its files can't be read.
    pub fn pki(&self) -> Result<Pki, WorldError> {
        let path = self.dir.join("pki/ca.pem");
        let pki = self.pki_dir().load()?;
        pki.ok_or_else(|| WorldError::malformed(&path, "no CA that is valid now"))
    }

    /// The public key of the ledger.
    ///
    /// # Errors
    /// If the key's file can't be read.
    pub fn log_vkey(&self) -> Result<VerifierKey, WorldError> {
        let key = documents::open_key(&self.dir.join("ledger.key"), &self.spec.ledger_name)?;
        Ok(key.verifier().clone())
    }

    /// The authorities' public keys.
    ///
    /// # Errors
    /// If their files can't be read.
    pub fn authorities(&self) -> Result<Authorities, WorldError> {
        self.signers()?.authorities()
    }

    fn signers(&self) -> Result<Signers, WorldError> {
        Signers::open(&self.dir.join("authorities"))
    }

    fn pki_dir(&self) -> PkiDir<'_> {
        PkiDir::new(self.dir.join("pki"), &self.spec.trust_domain, self.now())
    }

    fn now(&self) -> Timestamp {
        self.spec.clock.now()
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the world was made of.
    #[must_use]
    pub const fn spec(&self) -> &WorldSpec {
        &self.spec
    }

    /// Port of gRPC; 0 until a broker has chosen one.
    #[must_use]
    pub const fn grpc_port(&self) -> u16 {
        self.ports.grpc
    }

    /// Port of metrics, health and readiness; 0 until a broker has chosen one.
    #[must_use]
    pub const fn admin_port(&self) -> u16 {
        self.ports.admin
    }

    /// Port of checkpoints, tiles and entry bundles; 0 until a broker has chosen one.
    #[must_use]
    pub const fn tiles_port(&self) -> u16 {
        self.ports.tiles
    }

    /// Where clients reach the CAMARA APIs and the authorisation server, where it has that door.
    #[must_use]
    pub fn camara_url(&self) -> Option<String> {
        self.ports.camara.map(configs::camara_url)
    }

    /// `broker.toml`.
    #[must_use]
    pub fn broker_config_path(&self) -> PathBuf {
        self.dir.join("broker.toml")
    }

    /// `broker.log`.
    #[must_use]
    pub fn broker_log_path(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    /// The configuration of an operator's adapter.
    #[must_use]
    pub fn adapter_config_path(&self, operator: &str) -> PathBuf {
        self.dir.join(format!("adapters/{operator}.toml"))
    }

    /// The signed agreement.
    #[must_use]
    pub fn agreement_path(&self) -> PathBuf {
        self.dir.join("agreement.toml")
    }

    /// The signed list of parties.
    #[must_use]
    pub fn parties_path(&self) -> PathBuf {
        self.dir.join("parties.toml")
    }

    /// The ledger.
    #[must_use]
    pub fn ledger_dir(&self) -> PathBuf {
        self.dir.join("ledger")
    }
}

/// The content of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, WorldError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WorldError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests;
