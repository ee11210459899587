//! The bank's program of the library's documentation, run as it stands there.

use std::{error::Error, fs, path::Path, time::Duration};

use accord_client::{
    CallError, Client, Endpoints, Identity, LogTrust, Lookup, Purpose, Roots, Signal, TokenAlg,
    TokenKey, Value, VerifierKey,
};
use tonic::Code;

use crate::{
    ledger::log_key,
    parties::Parties,
    stub::{Plan, Stub},
};

/// Whether a payment may go on without asking the customer again, in another way.
async fn may_pay(client: &Client, number: &str) -> Result<bool, CallError> {
    let question = Lookup::about(number, Purpose::Payment).sim_swap_within(72);
    let answered = client.lookup(question).await?;
    // Keep these four if you may ever have to prove what you were told. The proof can be fetched
    // later; a question `.with_proof()` has it at once.
    let _evidence = (
        &answered.answer_bytes,
        &answered.nonce,
        &answered.receipt.leaf_hash,
        &answered.receipt.proof,
    );
    match answered.value_of(Signal::SimSwap) {
        Some(Value::YesNo(false)) => Ok(true),
        // A swap, or no value: unknown is never *no*. `answered.of(Signal::SimSwap)` has the reason.
        Some(_) | None => Ok(false),
    }
}

/// Of the files in a directory. No connection is made yet.
fn client(dir: &Path) -> Result<Client, Box<dyn Error>> {
    // The name is the one in the brokers' certificates; the second broker stands in for the
    // first when that one does not answer.
    let endpoints = Endpoints::new(
        "broker.accord.example",
        [
            "https://broker-a.accord.example:7443",
            "https://broker-b.accord.example:7443",
        ],
    )?;
    let log_key = VerifierKey::parse(&fs::read_to_string(dir.join("log.vkey"))?)?;
    let client = Client::builder()
        .endpoints(endpoints)
        .roots(Roots::from_pem(&fs::read(dir.join("roots.pem"))?)?)
        .identity(identity(dir)?)
        .token_key(token_key(dir)?)
        .log(LogTrust::of_ledger("accord.example").signed_by([log_key]))
        .deadline(Duration::from_secs(2))
        .build()?;
    Ok(client)
}

/// The certificate as whose owner the bank is known, and its key.
fn identity(dir: &Path) -> Result<Identity, Box<dyn Error>> {
    let certificate = fs::read(dir.join("bank.pem"))?;
    let key = fs::read(dir.join("bank.key"))?;
    Ok(Identity::from_pem(&certificate, &key)?)
}

/// The key that signs the bank's tokens.
fn token_key(dir: &Path) -> Result<TokenKey, Box<dyn Error>> {
    let key = TokenKey::from_pem(
        TokenAlg::Es256,
        &fs::read(dir.join("token.key"))?,
        "first-bank-1",   // the id under which its public half is registered
        "accord.example", // the broker's name: `aud` of the tokens
    )?;
    Ok(key)
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
    for name in ["may_pay", "client", "identity", "token_key"] {
        let function = function(name);
        assert!(shown.contains(&function), "not so in lib.rs:\n{function}");
    }
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
    let bank = "spiffe://accord.test/bank/first-bank";
    assert_eq!(client.party().to_string(), bank);
    let (identity, token_key) = (identity(dir.path()), token_key(dir.path()));
    client.renew(identity.unwrap(), token_key.unwrap()).unwrap();
}

#[tokio::test]
async fn the_program_pays_on_a_no_and_on_nothing_else() {
    let parties = Parties::new();
    let plans = [
        Plan::Answer,
        Plan::AnswerYes,
        Plan::AnswerNothing,
        Plan::Refuse(Code::PermissionDenied, 0),
    ];
    let stub = Stub::with_plans(&parties, plans, []).await;
    let client = parties.client(&[stub.address]);
    for expected in [true, false, false] {
        let pays = may_pay(&client, "+447700900001").await.unwrap();
        assert_eq!(pays, expected);
    }
    let refused = may_pay(&client, "+447700900001").await;
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
}
