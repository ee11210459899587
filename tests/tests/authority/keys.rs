//! A closed month takes both authorities: to find a subject in it, and to destroy its key.

use std::{collections::HashSet, process::Output};

use accord_client::unmask::{Plan, find, unmask};
use accord_proto::{
    hex,
    shares::{SealedShare, ShareError, ShareSecret, combine},
    statement::Statement,
    v1::{self, key_act::Kind},
};
use accord_tests::world::{CENTRAL_BANK, TELECOM_REGULATOR, broker_binary};
use tokio::process::Command;

use crate::{
    closed::Closed,
    subjects::{NEVER_CHANGED, authority, key_acts, number, refused, statement},
};

#[tokio::test]
async fn a_closed_month_opens_to_both_authorities_and_to_neither_alone() {
    let closed = Closed::month().await;
    let stage = &closed.stage;
    // At the start the key was split and erased.
    assert!(!closed.key_file().exists());
    let acts = key_acts(stage);
    assert_eq!(acts[0].kind(), Kind::Split);
    assert_eq!(acts[0].month, closed.month.to_string());
    let regulator = closed.secret(TELECOM_REGULATOR);
    let bank = closed.secret(CENTRAL_BANK);
    let share = async |name: &str| -> SealedShare {
        authority(stage, name)
            .key_share(closed.month)
            .await
            .unwrap()
    };
    let of_regulator = share(TELECOM_REGULATOR).await;
    let of_bank = share(CENTRAL_BANK).await;
    let alone = |sealed: &SealedShare, secret: &ShareSecret| sealed.open(secret).map(drop);
    assert!(matches!(
        alone(&of_regulator, &bank),
        Err(ShareError::OtherKey { .. })
    ));
    assert!(matches!(
        alone(&of_bank, &regulator),
        Err(ShareError::OtherKey { .. })
    ));
    let own = of_bank.open(&bank).unwrap();
    let twice = combine(&own, &share(CENTRAL_BANK).await.open(&bank).unwrap());
    assert!(matches!(twice, Err(ShareError::SameHalf { .. })));
    // The regulator hands its half over, sealed to the bank.
    let handed = of_regulator
        .open(&regulator)
        .unwrap()
        .seal(bank.key())
        .unwrap();
    let handed = SealedShare::parse(&handed.to_string()).unwrap();
    let key = combine(&handed.open(&bank).unwrap(), &own).unwrap();
    let tags = HashSet::from([closed.tag]);
    let plan = Plan::parse("+447700900:3").unwrap();
    let unmasked = unmask(&key, &[plan], &tags);
    assert!(unmasked[&closed.tag] == number(NEVER_CHANGED));
    // Each time that a half was given is on the record, with the case.
    let given: Vec<_> = key_acts(stage)
        .into_iter()
        .filter(|act| act.kind() == Kind::ShareGiven)
        .collect();
    assert_eq!(given.len(), 3);
    assert!(given.iter().all(|act| act.case == "2026-0042"));
    // And the other way round, in the ledger's own files, with the broker gone.
    let (month, index) = (closed.month, closed.index);
    let (_dir, files) = closed.stage.stopped().await;
    let tag = key.subject(&number(NEVER_CHANGED));
    let found = find(&files.ledger_dir(), &[], month, tag).unwrap();
    assert_eq!((found.len(), found[0].index), (1, index));
    assert!(find(&files.ledger_dir(), &[], month.previous(), tag).is_err());
}

#[tokio::test]
async fn a_half_takes_a_case_and_a_closed_month() {
    let closed = Closed::month().await;
    let stage = &closed.stage;
    let without_case = Statement::parse(
        &v1::ReadStatement {
            case: String::new(),
            ..statement(stage).to_wire()
        },
        stage.in_days(0),
    );
    let auditor = stage.auditor(CENTRAL_BANK).unwrap();
    let error = auditor.clone().stating(without_case.unwrap());
    let (reason, message) = refused(error.key_share(closed.month).await.unwrap_err());
    assert_eq!(reason, "MALFORMED_FIELD");
    assert!(message.contains("case"), "{message}");
    let auditor = auditor.stating(statement(stage));
    let this_month = accord_proto::subject::Month::of(stage.now());
    let (reason, _) = refused(auditor.key_share(this_month).await.unwrap_err());
    assert_eq!(reason, "KEY_MONTH");
    let unknown = closed.month.previous();
    let (reason, _) = refused(auditor.key_share(unknown).await.unwrap_err());
    assert_eq!(reason, "NOT_FOUND");
    assert_eq!(key_acts(stage).len(), 1, "only the split");
}

/// `accord audit …` as an authority, with this key, without a terminal.
pub(crate) async fn accord(closed: &Closed, who: &str, words: &[&str]) -> (i32, String) {
    let program = broker_binary().unwrap().with_file_name("accord");
    let mut command = Command::new(program);
    command.args(["audit", "--case", "2026-0042"]).args(words);
    // Nobody: the command finds out by itself.
    if !who.is_empty() {
        command.args(["--as", who]);
    }
    command.args([
        "--for",
        "a closed month",
        "--because",
        "a case",
        "--recipient",
        "Inspector",
    ]);
    command.args(["--sensitivity", "restricted", "--needed-by"]);
    command.arg(closed.stage.in_days(30).to_string());
    command.env("ACCORD_PROFILE", closed.stage.files.dir());
    told(&command.output().await.unwrap())
}

fn told(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

#[tokio::test]
async fn the_commands_lead_two_authorities_to_one_number_and_show_it_on_the_terminal_only() {
    let closed = Closed::month().await;
    let month = closed.month.to_string();
    let path = |name: &str| closed.stage.files.dir().join(name).display().to_string();
    let key = |who: &str| path(&format!("authorities/{who}.share.key"));
    let (regulator, bank) = (key(TELECOM_REGULATOR), key(CENTRAL_BANK));
    let (handed, own) = (path("handed.share"), path("own.share"));
    let args = ["share", &month, "--share-key", &regulator, "-o", &handed];
    let (code, text) = accord(&closed, TELECOM_REGULATOR, &args).await;
    assert!(
        code == 0 && text.contains("sealed to central-bank"),
        "{text}"
    );
    let args = ["share", &month, "--share-key", &bank, "--own", "-o", &own];
    let (code, text) = accord(&closed, CENTRAL_BANK, &args).await;
    assert!(
        code == 0 && text.contains("sealed to central-bank"),
        "{text}"
    );
    let tag = hex::encode(&closed.tag.0);
    let words = ["--share", &handed, "--share", &own, "--share-key", &bank];
    let unmask = [
        &["unmask", "--tag", &tag, "--plan", "+447700900:3"],
        &words[..],
    ]
    .concat();
    // Without a terminal nothing is shown, and nothing is tried.
    let (code, text) = accord(&closed, CENTRAL_BANK, &unmask).await;
    assert!(code == 2 && text.contains("terminal"), "{code} {text}");
    assert!(!text.contains(NEVER_CHANGED), "{text}");
    let program = broker_binary().unwrap().with_file_name("accord");
    let inner = format!(
        "{} audit {} > {}",
        program.display(),
        unmask.join(" "),
        path("piped")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &inner, "/dev/null"]);
    script.env("ACCORD_PROFILE", closed.stage.files.dir());
    let (code, text) = told(&script.output().await.unwrap());
    assert!(code == 0 && text.contains(NEVER_CHANGED), "{code} {text}");
    let piped = std::fs::read_to_string(path("piped")).unwrap();
    assert!(
        piped.contains("1 of 1 tags") && !piped.contains("4477009001"),
        "{piped}"
    );
    // One half, the same half twice, and the other authority's key are named.
    let one = ["find", NEVER_CHANGED, "--share", &own, "--share-key", &bank];
    let (code, text) = accord(&closed, CENTRAL_BANK, &one).await;
    assert!(
        code == 2 && text.contains("two halves are needed"),
        "{text}"
    );
    let twice = [&one[..], &["--share", &own]].concat();
    let (code, text) = accord(&closed, CENTRAL_BANK, &twice).await;
    assert!(
        code == 1 && text.contains("other authority's half is missing"),
        "{text}"
    );
    let words = [&["find", NEVER_CHANGED][..], &words[..5], &[&regulator]].concat();
    let (code, text) = accord(&closed, TELECOM_REGULATOR, &words).await;
    assert!(
        code == 1 && text.contains("sealed to `central-bank"),
        "{text}"
    );
}

#[tokio::test]
async fn shredding_takes_both_authorities_and_no_hold() {
    let closed = Closed::month().await;
    let month = closed.month.to_string();
    let key = |who: &str| {
        let path = closed
            .stage
            .files
            .dir()
            .join(format!("authorities/{who}.key"));
        path.display().to_string()
    };
    let act = async |who: &str, words: &[&str]| {
        let key = key(who);
        accord(&closed, who, &[words, &["--key", &key]].concat()).await
    };
    let (code, text) = act(CENTRAL_BANK, &["hold", &month]).await;
    assert!(code == 0 && text.contains("set by central-bank"), "{text}");
    let (code, text) = act(TELECOM_REGULATOR, &["shred", &month]).await;
    assert!(code == 3 && text.contains("legal hold"), "{code} {text}");
    let (_, text) = act(CENTRAL_BANK, &["hold", &month, "--lift"]).await;
    assert!(text.contains("until the other authority asks"), "{text}");
    let (_, text) = act(TELECOM_REGULATOR, &["hold", &month, "--lift"]).await;
    assert!(text.contains("is lifted"), "{text}");
    // With the other authority's certificate, but not its signing key, nobody asks in its name.
    let stolen = key(TELECOM_REGULATOR);
    let words = ["shred", &month, "--key", &stolen];
    let (code, text) = accord(&closed, CENTRAL_BANK, &words).await;
    assert!(
        code == 3 && text.contains("not signed with your own key"),
        "{text}"
    );
    let (_, text) = act(TELECOM_REGULATOR, &["shred", &month]).await;
    assert!(text.contains("once the other authority asks"), "{text}");
    let (code, text) = act(CENTRAL_BANK, &["shred", &month]).await;
    assert!(code == 0 && text.contains("is shredded"), "{text}");
    assert!(!closed.shares_file().exists());
    let (_, text) = accord(&closed, CENTRAL_BANK, &["months"]).await;
    assert!(text.contains("destroyed"), "{text}");
    let auditor = authority(&closed.stage, CENTRAL_BANK);
    let (reason, _) = refused(auditor.key_share(closed.month).await.unwrap_err());
    assert_eq!(reason, "KEY_MONTH");
    // The entries of the month still verify.
    let origin = format!("{}/{month}", closed.stage.files.spec().ledger_name);
    let ledger = closed.stage.broker.ledger();
    let entry = ledger.entry(Some(&origin), closed.index).unwrap();
    let leaf = accord_proto::merkle::leaf_hash(&entry);
    let (_, assurance) = auditor
        .prove_inclusion(&origin, closed.index, &leaf)
        .await
        .unwrap();
    assert_eq!(assurance, accord_client::Assurance::Proven);
}
