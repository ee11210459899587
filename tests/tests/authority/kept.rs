//! What the authorities hold themselves of the months' keys: their halves, which outlive the broker's
//! disk, and the proof of who asked what.

use std::fs;

use accord_tests::world::{CENTRAL_BANK, TELECOM_REGULATOR};

use crate::{closed::Closed, keys::accord, subjects::NEVER_CHANGED};

fn path(closed: &Closed, name: &str) -> String {
    closed.stage.files.dir().join(name).display().to_string()
}

#[tokio::test]
async fn halves_that_the_authorities_kept_outlive_the_brokers_disk() {
    let closed = Closed::month().await;
    let month = closed.month.to_string();
    let share_key = |who: &str| path(&closed, &format!("authorities/{who}.share.key"));
    let halves = path(&closed, "halves");
    for who in [TELECOM_REGULATOR, CENTRAL_BANK] {
        let (code, text) = accord(&closed, who, &["months", "--fetch", &halves]).await;
        assert!(code == 0 && text.contains("1 halves fetched"), "{text}");
        // What is there already is not fetched again.
        let (code, text) = accord(&closed, who, &["months", "--fetch", &halves]).await;
        assert!(code == 0 && text.contains("0 halves fetched"), "{text}");
    }
    let half = |who: &str| path(&closed, &format!("halves/{month}-{who}.share"));
    let (regulators, banks) = (half(TELECOM_REGULATOR), half(CENTRAL_BANK));
    // Whoever deletes the broker's has not shredded the month.
    fs::remove_file(closed.shares_file()).unwrap();
    let (code, text) = accord(&closed, CENTRAL_BANK, &["months"]).await;
    assert!(code == 0 && text.contains("lost"), "{text}");
    let (code, text) = accord(&closed, CENTRAL_BANK, &["months", "--fetch", &halves]).await;
    assert!(code == 0, "what was kept is not missed: {text}");
    let to = closed.secret(CENTRAL_BANK).key().to_string();
    let handed = path(&closed, "handed.share");
    let key = share_key(TELECOM_REGULATOR);
    let words = ["share", &month, "--kept", &regulators, "--to", &to];
    let words = [&words[..], &["--share-key", &key, "-o", &handed]].concat();
    let (code, text) = accord(&closed, TELECOM_REGULATOR, &words).await;
    assert!(
        code == 0 && text.contains("sealed to central-bank"),
        "{text}"
    );
    let key = share_key(CENTRAL_BANK);
    let words = ["find", NEVER_CHANGED, "--share", &handed, "--share", &banks];
    let words = [&words[..], &["--share-key", &key]].concat();
    let (code, text) = accord(&closed, CENTRAL_BANK, &words).await;
    assert!(code == 0 && text.contains("1 accesses in"), "{text}");
    // And both together are the broker's file again.
    let both = [&regulators, &banks].map(|half| fs::read_to_string(half).unwrap());
    fs::write(closed.shares_file(), both.join("\n")).unwrap();
    let (_, text) = accord(&closed, CENTRAL_BANK, &["months"]).await;
    assert!(text.contains("split between the authorities"), "{text}");
}

#[tokio::test]
async fn the_key_says_who_acts_and_what_was_asked_can_be_verified() {
    let closed = Closed::month().await;
    let month = closed.month.to_string();
    for who in [CENTRAL_BANK, TELECOM_REGULATOR] {
        let key = path(&closed, &format!("authorities/{who}.key"));
        let (code, text) = accord(&closed, "", &["hold", &month, "--key", &key]).await;
        assert!(code == 0 && text.contains("set by central-bank"), "{text}");
    }
    let (code, text) = accord(&closed, CENTRAL_BANK, &["months", "--verify"]).await;
    assert!(
        code == 0 && text.contains("bears its author's signature"),
        "{text}"
    );
    assert_eq!(text.matches("legal hold set").count(), 2, "{text}");
    let ledger = closed.stage.files.ledger_dir().display().to_string();
    let offline = ["months", "--verify", "--dir", &ledger];
    let (code, text) = accord(&closed, "", &offline).await;
    assert!(
        code == 0 && text.contains("bears its author's signature"),
        "{text}"
    );
    // Under other keys nobody asked anything.
    let profile = closed.stage.files.dir().join("profile.toml");
    let text = fs::read_to_string(&profile).unwrap();
    let stranger = accord_proto::c2sp::SigningKey::generate(CENTRAL_BANK).unwrap();
    let authorities = closed.stage.files.authorities().unwrap();
    let own = authorities.central_bank().to_string();
    assert!(text.contains(&own));
    fs::write(
        &profile,
        text.replace(&own, &stranger.verifier().to_string()),
    )
    .unwrap();
    let (code, text) = accord(&closed, CENTRAL_BANK, &["months", "--verify"]).await;
    assert!(
        code == 1 && text.contains("not what the authorities signed"),
        "{text}"
    );
    assert!(text.contains("signed by neither authority's key"), "{text}");
}

#[tokio::test]
async fn a_search_for_a_number_names_the_months_that_it_could_not_search() {
    let closed = Closed::month().await;
    let not_searched = format!("not searched: {}:", closed.month);
    let words = ["query", "--number", NEVER_CHANGED];
    let (code, text) = accord(&closed, CENTRAL_BANK, &words).await;
    assert!(code == 0 && text.contains(&not_searched), "{text}");
    // Where nothing is found, that is no word on those months.
    let words = ["query", "--number", "+447700900999"];
    let (_, text) = accord(&closed, CENTRAL_BANK, &words).await;
    assert!(text.contains(&not_searched), "{text}");
    assert!(
        text.contains("no entry matches in the months searched"),
        "{text}"
    );
    // A time in which every key is held, and a search without a number, leave nothing out.
    let from = closed.last_month.to_string();
    let words = ["query", "--number", NEVER_CHANGED, "--from", &from];
    let (_, text) = accord(&closed, CENTRAL_BANK, &words).await;
    assert!(!text.contains("not searched"), "{text}");
    let (_, text) = accord(&closed, CENTRAL_BANK, &["query", "--kind", "key_act"]).await;
    assert!(!text.contains("not searched"), "{text}");
}
