//! What is tried, and a small world beside it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Output,
};

use accord_tests::python::camara_tools;
use accord_tests::world::{OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT, World, WorldFiles, WorldSpec};
use tempfile::TempDir;

/// The APIs of the vendor's library that the door has too.
const VENDOR_APIS: [&str; 5] = [
    "sim-swap",
    "device-swap",
    "call-forwarding-signal",
    "number-recycling",
    "kyc-tenure",
];

/// What a program printed.
pub(crate) fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// A world whose limits are no hindrance, and the tools.
pub(crate) struct Bench {
    // Dropped in this order: first what runs, then where it ran.
    pub(crate) world: World,
    pub(crate) dir: TempDir,
    home: PathBuf,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let spec = WorldSpec::default()
            .limit("bank_per_second", 1_000_000)
            .limit("refusals_per_second", 1_000);
        let spec = WorldSpec {
            agreement: spec
                .agreement
                .replace("per_second = 200", "per_second = 100000"),
            camara_port: Some(0),
            // Where the vendor's library expects the APIs.
            api_roots: VENDOR_APIS
                .map(|api| format!("/passthrough/camara/v1/{api}"))
                .to_vec(),
            ..spec
        };
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let world = World::start(files, spec.clock.clone()).await.unwrap();
        Self {
            world,
            dir,
            home: camara_tools().unwrap(),
        }
    }

    /// Where schemathesis leaves which status each operation answered, a line for each.
    pub(crate) fn answered(&self) -> PathBuf {
        self.dir.path().join("answered")
    }

    /// Where the door is.
    pub(crate) fn door(&self) -> String {
        self.world.files.camara_url().unwrap()
    }

    /// Runs a program of the environment with what it must know of the world.
    pub(crate) async fn run<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Output {
        let pki = self.dir.path().join("pki");
        let of_bank = |what: &str| pki.join(format!("{OPEN_GATEWAY_BANK}.{what}"));
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/camara_tools");
        let mut command = tokio::process::Command::new(self.home.join("bin").join(program));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("PYTHONPATH", &here)
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("ANSWERED", self.answered())
            .env("DOOR", self.door())
            .env("ROOTS", pki.join("ca.pem"))
            .env("CERTIFICATE", of_bank("pem"))
            .env("CERTIFICATE_KEY", of_bank("key"))
            .env("CLIENT", OPEN_GATEWAY_CLIENT)
            .env("TOKEN_KEY", of_bank("token.key"))
            .env("TOKEN_KEY_ID", format!("{OPEN_GATEWAY_BANK}-1"))
            .kill_on_drop(true);
        command.output().await.unwrap()
    }
}
