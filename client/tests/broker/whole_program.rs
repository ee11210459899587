//! The bank's program of the library's documentation, run as it stands there.

use std::{error::Error, fs, path::Path, time::Duration};

use accord_client::{Client, Endpoints, Identity, LogTrust, Roots, TokenAlg, TokenKey};
use accord_proto::c2sp::VerifierKey;

use crate::{ledger::log_key, parties::Parties};

/// Of the files in a directory. No connection is made yet.
fn client(dir: &Path) -> Result<Client, Box<dyn Error>> {
    let read = |name: &str| fs::read(dir.join(name));
    // The name is the one in the brokers' certificates; the second broker stands in for the
    // first when that one does not answer.
    let endpoints = Endpoints::new(
        "broker.accord.example",
        [
            "https://broker-a.accord.example:7443",
            "https://broker-b.accord.example:7443",
        ],
    )?;
    let token_key = TokenKey::from_pem(
        TokenAlg::Es256,
        &read("token.key")?,
        "first-bank-1",   // the id under which the key is registered
        "accord.example", // the broker's name: `aud` of the tokens
    )?;
    let log_key = VerifierKey::parse(&fs::read_to_string(dir.join("log.vkey"))?)?;
    let client = Client::builder()
        .endpoints(endpoints)
        .roots(Roots::from_pem(&read("roots.pem")?)?)
        .identity(Identity::from_pem(&read("bank.pem")?, &read("bank.key")?)?)
        .token_key(token_key)
        .log(LogTrust::of_ledger("accord.example").signed_by([log_key]))
        .deadline(Duration::from_secs(2))
        .build()?;
    Ok(client)
}

/// A function of this file, with its documentation.
fn function(name: &str) -> String {
    let source = include_str!("whole_program.rs");
    let named = format!("fn {name}(");
    let found = source.split("\n\n").position(|part| part.contains(&named));
    let rest: Vec<_> = source.split("\n\n").skip(found.unwrap()).collect();
    let rest = rest.join("\n\n");
    format!("{}\n}}\n", rest.split_once("\n}\n").unwrap().0)
}

#[test]
fn the_program_of_the_documentation_is_this_one() {
    let shown: String = include_str!("../../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let client = function("client");
    assert!(shown.contains(&client), "not in lib.rs as here:\n{client}");
}

#[tokio::test]
async fn the_program_makes_its_client_of_files_as_they_are_made() {
    let parties = Parties::new();
    let dir = tempfile::tempdir().unwrap();
    parties.write_profile(dir.path(), "127.0.0.1:1".parse().unwrap());
    // As a broker, `accord new-key` and every editor end it.
    let vkey = format!("{}\n", log_key().verifier());
    fs::write(dir.path().join("log.vkey"), vkey).unwrap();
    let client = client(dir.path()).unwrap();
    assert_eq!(
        client.party().to_string(),
        "spiffe://accord.test/bank/first-bank"
    );
}
