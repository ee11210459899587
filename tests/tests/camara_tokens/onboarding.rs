//! Banks, clients and keys come and go without a restart: `accord parties` edits the list, the
//! authorities sign it, and each load is an entry before it is in force.

use accord_certs::TokenKey;
use accord_tests::world::wait_until;

use crate::{
    door::Told,
    grpc, record,
    rig::{NUMBER, PURPOSE, Rig, SCOPE, accord},
};

/// Lets the broker take a changed list up, and gives how it was put on the record.
async fn load(rig: &Rig, args: &[&str]) {
    let since = record::size(rig);
    rig.parties(args);
    rig.sign_parties();
    let loaded = record::wait_loaded(rig, since, "parties").await;
    assert_eq!(loaded.refused, "", "{args:?}");
}

/// The application that comes.
const WEB: &str = "first-web";

/// Asks as it, with a key of first-bank.
async fn ask(rig: &Rig, kid: &str) -> Told {
    let mut claims = rig.claims();
    for claim in ["iss", "sub"] {
        claims[claim] = WEB.into();
    }
    let assertion = rig.sign_as("first-bank", Some(kid), &claims);
    rig.ask(&rig.bank(), &assertion, SCOPE).await
}

#[tokio::test]
async fn a_client_that_is_added_asks_and_one_whose_key_is_retired_does_not() {
    let rig = Rig::new().await;
    let channel = grpc::channel(&rig, "first-bank");
    let (old, new) = ("first-bank-1", "first-bank-2");
    assert_eq!(ask(&rig, old).await.error(), (400, "invalid_client"));
    let purpose = format!("{PURPOSE}=payment");
    let of = ["LIST", "--party", "first-bank"];
    let client = ["--id", WEB, "--purpose", &purpose, "--scope", "sim-swap"];
    load(&rig, &[["add", "client"].as_slice(), &of, &client].concat()).await;
    let token = ask(&rig, old).await.token();
    grpc::ask(&channel, &token, NUMBER).await.unwrap();
    // The new key beside the old one, then the old one goes.
    let key = TokenKey::es256().unwrap();
    key.write(rig.dir.path(), "new").unwrap();
    let public = rig.dir.path().join("new.pub").display().to_string();
    let beside = ["--kid", new, "--public-key", &public];
    load(&rig, &[["rotate"].as_slice(), &of, &beside].concat()).await;
    let by_old = ask(&rig, old).await.token();
    grpc::ask(&channel, &by_old, NUMBER).await.unwrap();
    load(
        &rig,
        &[["rotate"].as_slice(), &of, &["--retire", old]].concat(),
    )
    .await;
    // Whoever has the old key's tokens asks with none of them any more, used before or not.
    for token in [&by_old, &token] {
        let ended = grpc::ask(&channel, token, NUMBER).await.unwrap_err();
        assert_eq!(grpc::reason(&ended), "TOKEN_KEY_RETIRED");
    }
    let retired = ask(&rig, old).await;
    assert_eq!(retired.error(), (400, "invalid_client"));
    assert!(retired.description().contains("kid"), "{:?}", retired.body);
    let file = rig.dir.path().join("pki/first-bank.token.key");
    std::fs::write(file, key.private_pem()).unwrap();
    let by_new = ask(&rig, new).await.token();
    grpc::ask(&channel, &by_new, NUMBER).await.unwrap();
}

#[tokio::test]
async fn a_token_ends_when_its_client_leaves_the_list() {
    let rig = Rig::new().await;
    let channel = grpc::channel(&rig, "first-bank");
    let token = rig.token().await;
    grpc::ask(&channel, &token, NUMBER).await.unwrap();
    // By hand: there is no command that takes a client away with its record of having been there.
    let list = rig.dir.path().join("draft.toml");
    let text = std::fs::read_to_string(rig.dir.path().join("parties.toml")).unwrap();
    let note = accord_proto::c2sp::SignedNote::parse(&text).unwrap();
    let (kept, rest) = note
        .text()
        .split_once("\n[[party.client]]\nid = \"first-app\"")
        .unwrap();
    let rest = rest.split_once("\n\n").unwrap().1;
    let version = kept
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .unwrap();
    let next = version.parse::<u64>().unwrap() + 1;
    let kept = kept.replace(
        &format!("version = {version}"),
        &format!("version = {next}"),
    );
    std::fs::write(list, format!("{kept}\n{rest}")).unwrap();
    rig.sign_parties();
    wait_until("the client to be gone", || async {
        let refused = grpc::ask(&channel, &token, NUMBER).await.err();
        refused.is_some_and(|refused| grpc::reason(&refused) == "TOKEN_UNKNOWN_CLIENT")
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_command_fetches_a_token_that_the_door_takes() {
    let rig = Rig::new().await;
    let run = |args: &[&str]| {
        let args: Vec<_> = args.iter().map(std::path::PathBuf::from).collect();
        let (dir, args) = (rig.dir.path().to_owned(), args);
        tokio::task::spawn_blocking(move || accord(&dir, "token", &args))
    };
    let channel = grpc::channel(&rig, "first-bank");
    let client = ["--client", "first-app", "--scope", SCOPE];
    let token = run(&client).await.unwrap();
    grpc::ask(&channel, token.trim(), NUMBER).await.unwrap();
    let about = [client.as_slice(), &["--number", NUMBER]].concat();
    let token = run(&about).await.unwrap();
    grpc::ask(&channel, token.trim(), "").await.unwrap();
    // And what a script would send by itself.
    let args = [
        "--client",
        "first-app",
        "--key",
        "pki/first-bank.token.key",
        "--audience",
    ];
    let mut args: Vec<_> = args.iter().map(std::path::PathBuf::from).collect();
    args[3] = rig.dir.path().join("pki/first-bank.token.key");
    args.push(rig.token_endpoint().into());
    let dir = rig.dir.path().to_owned();
    let assertion = tokio::task::spawn_blocking(move || accord(&dir, "assertion", &args));
    let assertion = assertion.await.unwrap();
    rig.ask(&rig.bank(), assertion.trim(), SCOPE).await.token();
}
