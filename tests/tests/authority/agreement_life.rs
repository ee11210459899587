//! The life of the agreement: two authorities propose, sign and activate; either suspends, at once;
//! only both lift and end.

use accord_client::{CallError, Client, Lookup, Outcome};
use accord_proto::{
    agreement::{Act, Verb, with_dates},
    purpose::Purpose,
    reason::Reason,
    v1::{self, agreement_act::Kind, entry::Event},
};
use accord_tests::world::{
    CENTRAL_BANK, TELECOM_REGULATOR, World, WorldFiles, WorldSpec, wait_until,
};
use jiff::{SignedDuration, ToSpan as _};
use tempfile::TempDir;
use tokio::time::Duration;
use tonic::Code;

use crate::{
    desk::{BOTH, about, governing, lift, on, refused, send, signed},
    stage::{Stage, day},
};

/// A debug build on a busy machine may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

fn payment(digits: u16) -> Lookup {
    Lookup::about(format!("+447700900{digits:03}"), Purpose::Payment).sim_swap()
}

/// The reason of the only signal; `None` where it was answered.
async fn told(client: &Client, lookup: Lookup) -> Option<(Reason, String)> {
    let answered = client.lookup_within(lookup, PATIENCE).await.unwrap();
    match &answered.signals().first().unwrap().outcome {
        Outcome::Unanswered { reason, detail } => Some((*reason, detail.clone())),
        Outcome::Value { .. } => None,
    }
}

/// The agreement in force, one version on, with another first word for SIM swaps before payments.
async fn next(world: &World) -> String {
    let text = governing(world).await;
    let text = text.replacen("version = 1\n", "version = 2\n", 1);
    let coarser = text.replacen("granularity = \"band\"", "granularity = \"yes_no\"", 1);
    assert_ne!(text, coarser);
    coarser
}

async fn propose(
    world: &World,
    by: &str,
    text: &str,
) -> Result<accord_client::ActTaken, CallError> {
    let document = signed(world, text, &[by]);
    send(world, by, by, &about(Verb::Propose, text), &document).await
}

async fn sign(world: &World, by: &str, text: &str) -> Result<accord_client::ActTaken, CallError> {
    let document = signed(world, text, &[by]);
    send(world, by, by, &about(Verb::Sign, text), &document).await
}

/// The acts on the record, as a reader of the ledger sees them.
fn acts(stage: &Stage) -> Vec<v1::AgreementAct> {
    let acts = stage.since(0).into_iter().filter_map(|event| {
        let Event::AgreementAct(act) = event else {
            return None;
        };
        Some(act)
    });
    acts.collect()
}

/// Each act is on the record, with the note of its author.
fn bear_their_authors_notes(stage: &Stage, expected: &[Kind]) {
    let kinds: Vec<Kind> = acts(stage).iter().map(v1::AgreementAct::kind).collect();
    assert_eq!(kinds, expected);
    let authorities = stage.files.authorities().unwrap();
    for act in acts(stage) {
        let opened = Act::open(&act.note, &authorities).unwrap();
        assert!(act.party.ends_with(authorities.key(opened.by).name()));
    }
}

#[tokio::test]
async fn what_two_propose_sign_and_activate_is_what_banks_are_answered_under() {
    let stage = Stage::sandbox().await;
    let bank = stage.client("first-bank").unwrap();
    assert_eq!(told(&bank, payment(1)).await, None);
    let text = next(&stage).await;
    assert_eq!(
        propose(&stage, TELECOM_REGULATOR, &text)
            .await
            .unwrap()
            .kind,
        Kind::Proposed
    );
    // Four eyes: neither alone activates it, and neither signs twice.
    let activate = || about(Verb::Activate, &text);
    for by in BOTH {
        let alone = refused(send(&stage, by, by, &activate(), "").await);
        assert_eq!(alone.reason, "ACT_NOT_NOW");
        assert!(alone.message.contains("the central bank has not signed"));
    }
    let twice = refused(sign(&stage, TELECOM_REGULATOR, &text).await);
    assert!(twice.message.contains("the central bank signs now"));
    assert_eq!(
        sign(&stage, CENTRAL_BANK, &text).await.unwrap().kind,
        Kind::Signed
    );
    let history = stage
        .authority()
        .unwrap()
        .agreement_history()
        .await
        .unwrap();
    assert_eq!(history.proposed[0].signed_by, BOTH);
    assert_eq!(
        bank.lookup(payment(1))
            .await
            .unwrap()
            .answer
            .agreement_version,
        1
    );
    let taken = send(&stage, CENTRAL_BANK, CENTRAL_BANK, &activate(), "").await;
    assert_eq!(taken.unwrap().kind, Kind::Activated);
    wait_until("the new clause to answer", || async {
        bank.lookup_within(payment(1), PATIENCE)
            .await
            .unwrap()
            .answer
            .agreement_version
            == 2
    })
    .await
    .unwrap();
    // The band is told no more, and the register of documents says under which note.
    let (reason, _) = told(&bank, payment(1)).await.unwrap();
    assert_eq!(reason, Reason::OutOfRange);
    let in_force = stage.authority().unwrap().agreement().await.unwrap();
    let loaded = stage.since(0).into_iter().rev().find_map(|event| {
        let Event::DocumentLoaded(loaded) = event else {
            return None;
        };
        (loaded.kind == "agreement").then_some(loaded)
    });
    let loaded = loaded.unwrap();
    assert_eq!((loaded.version, &loaded.sha256), (2, &in_force.sha256));
    assert_eq!(loaded.signers, BOTH);
    bear_their_authors_notes(&stage, &[Kind::Proposed, Kind::Signed, Kind::Activated]);
    // A version not above it is not proposed any more.
    let old = refused(propose(&stage, CENTRAL_BANK, &text).await);
    assert!(old.message.contains("not above version 2"), "{old}");
}

#[tokio::test]
async fn an_activated_agreement_waits_for_its_day_and_outlives_a_restart() {
    let dir = TempDir::new().unwrap();
    let spec = WorldSpec::default();
    let files = WorldFiles::write(dir.path(), &spec).unwrap();
    let world = World::start(files, spec.clock.clone()).await.unwrap();
    let today = day(spec.clock.now());
    let later = next(&world).await;
    let later = with_dates(&later, today + 1.day(), today + 90.days()).unwrap();
    let later = later.replacen("version = 2\n", "version = 3\n", 1);
    let now = next(&world).await;
    for text in [&now, &later] {
        propose(&world, CENTRAL_BANK, text).await.unwrap();
        sign(&world, TELECOM_REGULATOR, text).await.unwrap();
        let activate = about(Verb::Activate, text);
        send(&world, CENTRAL_BANK, CENTRAL_BANK, &activate, "")
            .await
            .unwrap();
    }
    let bank = world.client("first-bank").unwrap();
    let version = async |bank: &Client| {
        let answered = bank.lookup_within(payment(1), PATIENCE).await.unwrap();
        answered.answer.agreement_version
    };
    wait_until("version 2 to hold", || async { version(&bank).await == 2 })
        .await
        .unwrap();
    let history = world
        .authority()
        .unwrap()
        .agreement_history()
        .await
        .unwrap();
    assert_eq!((history.waiting.len(), history.waiting[0].version), (1, 3));
    drop(bank);
    let (files, _) = world.stop().await.unwrap();
    // The configured file still holds version 1, and that is no mistake.
    let world = World::start(files, spec.clock).await.unwrap();
    let bank = world.client("first-bank").unwrap();
    assert_eq!(version(&bank).await, 2);
    let ledger = world.broker.ledger();
    let refused = (0..ledger.size()).any(|index| {
        let bytes = ledger.entry(None, index).unwrap();
        let entry = <v1::Entry as prost::Message>::decode(bytes.as_slice()).unwrap();
        matches!(entry.event, Some(Event::DocumentLoaded(loaded)) if !loaded.refused.is_empty())
    });
    assert!(!refused);
}

#[tokio::test]
async fn each_act_that_is_not_an_authoritys_own_is_refused_and_changes_nothing() {
    let stage = Stage::sandbox().await;
    let text = governing(&stage).await;
    let suspend = |target: &str| Act {
        target: Some(target.parse().unwrap()),
        ..about(Verb::Suspend, &text)
    };
    let all = suspend("all");
    // A bank's certificate, the other authority's, and a key of nobody.
    let bank = refused(send(&stage, "first-bank", CENTRAL_BANK, &all, "").await);
    assert_eq!(
        (bank.code, &*bank.reason),
        (Code::PermissionDenied, "ROLE_NOT_ALLOWED")
    );
    let other = refused(send(&stage, TELECOM_REGULATOR, CENTRAL_BANK, &all, "").await);
    assert_eq!(
        (other.code, &*other.reason),
        (Code::PermissionDenied, "ACT_SIGNER")
    );
    let stranger = accord_proto::c2sp::SigningKey::generate(CENTRAL_BANK).unwrap();
    let note = all.sign(&stranger).unwrap();
    let auditor = stage.auditor(CENTRAL_BANK).unwrap();
    let nobody = refused(auditor.act(&note, "").await);
    assert_eq!(&*nobody.reason, "ACT_SIGNER");
    // No act at all, one about nobody, one made yesterday.
    let none = refused(auditor.act("suspend everything\n", "").await);
    assert_eq!(
        (none.code, &*none.reason),
        (Code::InvalidArgument, "ACT_MALFORMED")
    );
    let unknown = suspend("bank:first-bonk");
    let unknown = refused(send(&stage, CENTRAL_BANK, CENTRAL_BANK, &unknown, "").await);
    assert!(unknown.message.contains("bank:first-bonk"), "{unknown}");
    let stale = Act {
        time: all.time - SignedDuration::from_hours(24),
        ..suspend("all")
    };
    let stale = refused(send(&stage, CENTRAL_BANK, CENTRAL_BANK, &stale, "").await);
    assert_eq!(&*stale.reason, "ACT_STALE");
    // History is for authorities, too.
    let history = stage
        .auditor("first-bank")
        .unwrap()
        .agreement_history()
        .await;
    assert_eq!(&*refused(history).reason, "ROLE_NOT_ALLOWED");
    assert_eq!(acts(&stage).len(), 0);
    let client = stage.client("first-bank").unwrap();
    assert_eq!(told(&client, payment(1)).await, None);
    // The same act twice, and again after both have lifted it.
    let once = suspend("signal:roaming");
    send(&stage, CENTRAL_BANK, CENTRAL_BANK, &once, "")
        .await
        .unwrap();
    lift(&stage, "signal:roaming").await;
    let replayed = refused(send(&stage, CENTRAL_BANK, CENTRAL_BANK, &once, "").await);
    assert_eq!(
        (replayed.code, &*replayed.reason),
        (Code::AlreadyExists, "ACT_REPLAYED")
    );
    assert_eq!(acts(&stage).len(), 3);
}

#[tokio::test]
async fn both_end_an_agreement_and_a_newer_one_is_not_ended_by_that() {
    let stage = Stage::sandbox().await;
    let bank = stage.client("first-bank").unwrap();
    let text = governing(&stage).await;
    let end = || about(Verb::End, &text);
    let first = send(&stage, CENTRAL_BANK, CENTRAL_BANK, &end(), "").await;
    assert_eq!(first.unwrap().kind, Kind::EndAsked);
    assert_eq!(told(&bank, payment(1)).await, None);
    let again = refused(send(&stage, CENTRAL_BANK, CENTRAL_BANK, &end(), "").await);
    assert!(
        again.message.contains("the telecom regulator must"),
        "{again}"
    );
    let second = send(&stage, TELECOM_REGULATOR, TELECOM_REGULATOR, &end(), "").await;
    assert_eq!(second.unwrap().kind, Kind::Ended);
    let over = refused(bank.lookup(payment(1)).await);
    assert_eq!(&*over.reason, "NO_AGREEMENT_IN_FORCE");
    assert!(over.message.contains("both authorities ended it"), "{over}");
    let text = next(&stage).await;
    propose(&stage, TELECOM_REGULATOR, &text).await.unwrap();
    sign(&stage, CENTRAL_BANK, &text).await.unwrap();
    let activate = about(Verb::Activate, &text);
    send(&stage, CENTRAL_BANK, CENTRAL_BANK, &activate, "")
        .await
        .unwrap();
    wait_until("the newer one to answer", || async {
        bank.lookup(payment(1)).await.is_ok()
    })
    .await
    .unwrap();
    let lone = refused(on(&stage, CENTRAL_BANK, Verb::Lift, "all").await);
    assert!(lone.message.contains("not suspended"), "{lone}");
}
