//! The sealed halves: kept by their authorities, lost, damaged, and brought back.

use super::{rig::Rig, *};

async fn state_of(rig: &Rig, text: &str) -> key_month::State {
    let months = rig.closed.months().await.unwrap();
    let found = months.iter().find(|it| it.month == text);
    found.unwrap().state()
}

#[tokio::test]
async fn each_authority_may_keep_its_half_without_a_case() {
    let rig = Rig::new();
    rig.split_due().await;
    let keep = |org| {
        let party = authority(org);
        let closed = &rig.closed;
        async move {
            closed
                .give(month("2026-09"), &party, GivenFor::Keeping)
                .await
        }
    };
    let (one, other) = (keep(REGULATOR).await.unwrap(), keep(BANK).await.unwrap());
    assert_eq!(rig.kinds(), [Kind::Split, Kind::ShareKept, Kind::ShareKept]);
    assert!(rig.acts()[1].case.is_empty() && rig.acts()[1].statement.is_none());
    // The disk is lost, and what they kept makes the key and the file again.
    std::fs::remove_file(rig.path("shares-2026-09.sealed")).unwrap();
    assert_eq!(state_of(&rig, "2026-09").await, key_month::State::Lost);
    let why = why(keep(BANK).await);
    assert!(why.contains("not on the broker's disk"), "{why}");
    let restored = format!("{one}\n{other}");
    std::fs::write(rig.path("shares-2026-09.sealed"), restored).unwrap();
    assert_eq!(state_of(&rig, "2026-09").await, key_month::State::Split);
    let key = rig.unmasked("2026-09").await;
    assert_eq!(key.subject(&rig.tagged.0), rig.tagged.1);
}

#[tokio::test]
async fn damaged_halves_are_noticed_before_a_case_needs_them() {
    let mut rig = Rig::new();
    rig.split_due().await;
    assert_eq!(rig.closed.lost(), 0);
    let path = rig.path("shares-2026-09.sealed");
    let bytes = std::fs::read(&path).unwrap();
    // White space at the end is nothing that was stored.
    for at in 0..bytes.trim_ascii_end().len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        assert_eq!(
            state_of(&rig, "2026-09").await,
            key_month::State::Lost,
            "byte {at}"
        );
    }
    rig.restart();
    assert_eq!(rig.closed.lost(), 1);
    assert!(why(rig.give("2026-09", BANK).await).contains("brought back"));
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(rig.split_due().await, []);
    assert_eq!(rig.closed.lost(), 0);
    rig.give("2026-09", BANK).await.unwrap();
}

#[tokio::test]
async fn lost_halves_can_not_be_shredded_by_losing_them() {
    let rig = Rig::new();
    rig.split_due().await;
    std::fs::remove_file(rig.path("shares-2026-09.sealed")).unwrap();
    let refused = why(rig.act(RequestKind::Shred, "2026-09", BANK).await);
    assert!(refused.contains("brought back"), "{refused}");
    rig.act(RequestKind::Hold, "2026-09", BANK).await.unwrap();
    assert_eq!(rig.kinds(), [Kind::Split, Kind::HoldSet]);
}
