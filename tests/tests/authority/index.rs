//! An index that is lost or damaged on the way.

use std::fs;

use accord_client::Lookup;
use accord_proto::{purpose::Purpose, v1::entry::Event};
use accord_tests::world::wait_until;

use crate::{
    queries::{QUIET, SWAPPED, asked, by, indexes, request},
    stage::Stage,
};

#[tokio::test]
async fn an_index_that_is_damaged_or_gone_is_made_anew_while_banks_are_answered() {
    let stage = Stage::sandbox().await;
    let [one, ..] = asked(&stage).await;
    let Event::Access(access) = stage.event(one) else {
        panic!("no access");
    };
    let about = || by(|f| f.msisdn = SWAPPED.to_owned());
    // What a search has found is in the index.
    let mut raw = stage.raw("central-bank").await;
    assert_eq!(indexes(&mut raw, about()).await.len(), 2);
    let mut stage = stage;
    for damage in ["flipped", "removed"] {
        let (dir, _) = stage.stopped().await;
        let index = dir.path().join("index");
        if damage == "removed" {
            fs::remove_dir_all(&index).unwrap();
        } else {
            let file = index.join("index.sqlite");
            let mut bytes = fs::read(&file).unwrap();
            // The row that says which entries name the subject.
            let kept = access.subject_tag.first_chunk::<8>().unwrap();
            let at = bytes.windows(8).position(|found| found == kept).unwrap();
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
        stage = Stage::started(dir).await;
        let again = Lookup::about(QUIET, Purpose::Login).call_forwarding();
        stage.ask("first-bank", again).await;
        let mut raw = stage.raw("central-bank").await;
        wait_until("the index made anew", || {
            let mut raw = raw.clone();
            async move {
                let found = raw.query(request(about())).await;
                found.is_ok_and(|found| found.get_ref().entries.iter().any(|e| e.index == one))
            }
        })
        .await
        .unwrap();
        assert_eq!(indexes(&mut raw, about()).await.len(), 2, "{damage}");
    }
}
