//! A broker behind a broker: what the first one's operator knows of last night, the second one's does
//! not know of now.

use std::path::Path;

use accord_client::{Lookup, Outcome, Value};
use accord_proto::{
    clock::{Clock as _, SystemClock},
    purpose::Purpose,
    reason::Reason,
};
use accord_tests::world::{NORTH_PREFIX, OperatorSpec, World, WorldFiles, WorldSpec, wait_until};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::{rig::Rig, upstream::section};

const NUMBER: &str = "+447700900001";

/// The default world, in which north-mobile's adapter reads this source.
fn with(source: String) -> WorldSpec {
    let mut spec = WorldSpec::default();
    for operator in &mut spec.operators {
        if operator.ranges == [NORTH_PREFIX] {
            *operator = OperatorSpec {
                source: source.clone(),
                ..operator.clone()
            };
        }
    }
    spec
}

/// A subscriber whose SIM was changed years ago, as far as was exported 17 hours ago.
fn exported(dir: &Path) -> String {
    let at = SystemClock.now() - SignedDuration::from_hours(17);
    let name = at.strftime("subscribers-%Y%m%d%H%M%S.csv").to_string();
    let rows = format!("MSISDN,SIM\n{NUMBER},2020-03-01\nEND,1\n");
    std::fs::write(dir.join(name), rows).unwrap();
    format!(
        r#"kind = "csv"
directory = "{}"
file_name = "subscribers-%Y%m%d%H%M%S.csv"
encoding = "utf-8"
time_zone = "UTC"
exported_at = {{ from = "file_name" }}
complete = {{ by = "trailer", text = "END" }}
number = {{ country_code = "44" }}
columns = {{ msisdn = "MSISDN", sim_changed_at = {{ name = "SIM", format = "%Y-%m-%d" }} }}
"#,
        dir.display()
    )
}

#[tokio::test]
async fn what_an_upstream_exported_last_night_is_no_answer_to_who_asks_for_the_last_hour() {
    let exports = TempDir::new().unwrap();
    let upstream = Rig::of(with(exported(exports.path())), "").await;
    // Its clause 6.1 grants answers that are a day old. Whoever says that they are of now, is believed.
    // What it says beside the body, it says of itself.
    for (knows_within_s, by, accord_answer, expected) in [
        (0, "retrieve_date", false, Ok(false)),
        (86_400, "retrieve_date", false, Err(Reason::Stale)),
        (86_400, "check", false, Err(Reason::Stale)),
        (0, "retrieve_date", true, Err(Reason::Stale)),
        (0, "check", true, Err(Reason::Stale)),
    ] {
        let more = format!(
            "knows_within_s = {knows_within_s}\nswaps_by = \"{by}\"\n\
             accord_answer = {accord_answer}\ntimeout_ms = 5000\n"
        );
        let section = section(&upstream, &more).replace("\n[", "\n[source.");
        let spec = with(format!("kind = \"camara_upstream\"\n{section}"));
        let dir = TempDir::new().unwrap();
        let files = WorldFiles::write(dir.path(), &spec).unwrap();
        let world = World::start(files, SystemClock::shared()).await.unwrap();
        let bank = world.client("first-bank").unwrap();
        // Clause 2.2: within a day, as of the last hour.
        let asked = async || {
            let lookup = Lookup::about(NUMBER, Purpose::OtpSend).sim_swap_within(24);
            let answered = bank.lookup(lookup).await.unwrap();
            match &answered.signals().first().unwrap().outcome {
                Outcome::Value { value, .. } => Ok(*value == Value::YesNo(true)),
                Outcome::Unanswered { reason, .. } => Err(*reason),
            }
        };
        let what =
            format!("{expected:?} of `knows_within_s = {knows_within_s}` by {by}, {accord_answer}");
        let told = wait_until(&what, || async { asked().await == expected });
        told.await.unwrap();
    }
}
