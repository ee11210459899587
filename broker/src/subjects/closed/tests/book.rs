//! The file beside the keys, changed; notes used again; entries that nobody signed. None of it makes
//! one authority's word into that of both.

use accord_proto::document::text_sha256;

use super::{rig::Rig, *};
use crate::entry::record_entry;

/// The file, whose check sum is made anew over what is left of its lines.
fn without_line(rig: &Rig, line: usize) {
    let path = rig.path("key-acts");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.pop();
    lines.remove(line);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sum = text_sha256(&text);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&path, format!("{text}sha256 {sum}\n")).unwrap();
}

#[tokio::test]
async fn no_flipped_bit_of_the_file_changes_what_the_authorities_asked() {
    let mut rig = Rig::new();
    rig.split_due().await;
    rig.act(RequestKind::Shred, "2026-09", REGULATOR)
        .await
        .unwrap();
    let path = rig.path("key-acts");
    let bytes = std::fs::read(&path).unwrap();
    let asked = [authority(REGULATOR).to_string()];
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        rig.restart();
        let months = rig.closed.months().await.unwrap();
        let september = months.iter().find(|it| it.month == "2026-09").unwrap();
        assert_eq!(september.shred_asked_by, asked, "byte {at}");
        assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len());
    }
    // So the one that asked can ask again, and it is still one.
    let again = rig.act(RequestKind::Shred, "2026-09", REGULATOR).await;
    assert_eq!(again.unwrap().state(), key_month::State::Split);
    assert!(rig.has("shares-2026-09.sealed"));
}

#[tokio::test]
async fn a_hold_that_was_taken_out_of_the_file_still_keeps_the_halves() {
    let mut rig = Rig::new();
    rig.split_due().await;
    // A request, the hold that voids it, and a list from which the hold is left out.
    rig.act(RequestKind::Shred, "2026-09", REGULATOR)
        .await
        .unwrap();
    rig.act(RequestKind::Hold, "2026-09", REGULATOR)
        .await
        .unwrap();
    // The heading, how far it goes, the split, the request, the hold.
    without_line(&rig, 4);
    rig.restart();
    let refused = why(rig.act(RequestKind::Shred, "2026-09", BANK).await);
    assert!(refused.contains("nothing is destroyed"), "{refused}");
    assert!(rig.has("shares-2026-09.sealed"));
    std::fs::remove_file(rig.path("key-acts")).unwrap();
    rig.restart();
    let refused = why(rig.act(RequestKind::Shred, "2026-09", BANK).await);
    assert!(refused.contains("legal hold"), "{refused}");
}

#[tokio::test]
async fn a_note_counts_once() {
    let mut rig = Rig::new();
    rig.split_due().await;
    let note = rig.note(RequestKind::Shred, "2026-09", REGULATOR);
    rig.send(&note, REGULATOR).await.unwrap();
    let refused = why(rig.send(&note, REGULATOR).await);
    assert!(
        refused.contains("on the record already, as entry"),
        "{refused}"
    );
    // Not after the hold that voided it, either, nor after a restart.
    rig.act(RequestKind::Hold, "2026-09", BANK).await.unwrap();
    for org in [BANK, REGULATOR] {
        rig.act(RequestKind::Lift, "2026-09", org).await.unwrap();
    }
    assert!(why(rig.send(&note, REGULATOR).await).contains("on the record already"));
    rig.restart();
    assert!(why(rig.send(&note, REGULATOR).await).contains("on the record already"));
    rig.act(RequestKind::Shred, "2026-09", BANK).await.unwrap();
    assert!(rig.has("shares-2026-09.sealed"));
}

#[tokio::test]
async fn an_entry_that_no_authority_signed_stops_the_start() {
    let mut rig = Rig::new();
    rig.split_due().await;
    let asked = rig.act(RequestKind::Shred, "2026-09", REGULATOR).await;
    asked.unwrap();
    let mut forged = rig.acts().pop().unwrap();
    forged.kind = Kind::Shredded as i32;
    forged.party = authority(BANK).to_string();
    let event = Event::KeyAct(forged);
    let committed = record_entry(&rig.ledger, event).await.unwrap();
    let error = rig.try_restart().unwrap_err().to_string();
    let named = format!("entry {} of {}", committed.index, committed.origin);
    assert!(error.contains(&named), "{error}");
    assert!(error.contains("differ in their authority"), "{error}");
    assert!(rig.has("shares-2026-09.sealed"));
}
