use std::{fs, path::Path};

use accord_proto::{
    clock::ManualClock,
    digest::sha256,
    hex,
    observation::{Change, ChangedIn, Observation, Observed, SourceClass},
};
use jiff::Timestamp;

use super::*;
use crate::merge;

const NOW: &str = "2026-12-20T12:00:00Z";

/// India's list: of each month one, numbers alone.
const MONTHLY: &str = "file_name = \"mnrl-%Y-%m.csv\"\ntime_zone = \"Asia/Kolkata\"\n\
    covers = { by = \"month\" }\ncomplete = \"final_newline\"\ncolumns = { number = \"MOBILE_NO\" }\n\
    number = { country_code = \"44\", bare = \"national\" }\nreload_ms = 10\n";

/// The FCC's shape: all numbers ever reported, each with its last disconnect.
const EVERYTHING: &str = "file_name = \"rnd-%Y%m%d.csv\"\ntime_zone = \"UTC\"\n\
    covers = { by = \"everything\", since = \"2021-01-27\" }\ncomplete = \"final_newline\"\n\
    number = { country_code = \"44\", bare = \"national\" }\n\
    [columns]\nnumber = \"NUMBER\"\n\
    disconnected_at = { name = \"DISCONNECTED\", format = \"%Y-%m-%d\" }\n";

fn open(dir: &Path, text: &str) -> Arc<NumberList> {
    let config: ListConfig = toml::from_str(&format!("directory = {dir:?}\n{text}")).unwrap();
    let clock = ManualClock::at(NOW.parse().unwrap());
    Arc::new(NumberList::open(config, clock).unwrap())
}

async fn said(source: &NumberList, last: u16) -> Result<Observation, Reason> {
    let number = Msisdn::parse(&format!("+447700900{last:03}")).unwrap();
    let by = Instant::now() + Duration::from_secs(5);
    let mut answer = source.observe(number, &[Signal::NumberRecycling], by).await;
    answer.signals.remove(0).1
}

fn words(said: &Result<Observation, Reason>) -> String {
    let observation = match said {
        Ok(observation) => observation,
        Err(reason) => return reason.name().to_owned(),
    };
    let Observed::Change(change) = &observation.what else {
        panic!("no change");
    };
    let at = observation.observed_at;
    match change.changed_in {
        Some(changed) => format!("({} {}] as of {at}", changed.after(), changed.before()),
        None => format!("none since {} as of {at}", change.monitored_since.unwrap()),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn put(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[tokio::test]
async fn monthly_lists_cover_their_months_and_a_late_one_fills_the_gap() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), MONTHLY);
    assert_eq!(words(&said(&source, 1).await), "source_down");
    assert_eq!(source.state().condition, Condition::Starting);
    put(dir.path(), "mnrl-2026-09.csv", "MOBILE_NO\n7700900003\n");
    put(
        dir.path(),
        "mnrl-2026-11.csv",
        "LSA,MOBILE_NO\nx,7700900001\n",
    );
    source.reload().unwrap();
    // Months begin and end at midnight in India.
    let until = "2026-11-30T18:30:00Z";
    let november = format!("(2026-10-31T18:30:00Z {until}] as of {until}");
    assert_eq!(words(&said(&source, 1).await), november);
    // October is missing, so that the watch begins with November.
    let none = format!("none since 2026-10-31T18:30:00Z as of {until}");
    assert_eq!(words(&said(&source, 2).await), none);
    // Since when somebody else has it is not told.
    let before = format!("(2026-08-31T18:30:00Z {until}] as of {until}");
    assert_eq!(words(&said(&source, 3).await), before);
    put(dir.path(), "mnrl-2026-10.csv", "MOBILE_NO\n7700900001\n");
    source.reload().unwrap();
    // The older list overwrites nothing.
    assert_eq!(words(&said(&source, 1).await), november);
    let none = format!("none since 2026-08-31T18:30:00Z as of {until}");
    assert_eq!(words(&said(&source, 2).await), none);
    assert_eq!(words(&said(&source, 3).await), before);
    assert_eq!(source.state().condition, Condition::Up);
}

#[tokio::test]
async fn of_lists_of_everything_the_newest_counts_and_before_the_data_began_nothing_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), EVERYTHING);
    put(
        dir.path(),
        "rnd-20261115.csv",
        "NUMBER,DISCONNECTED\n7700900001,2026-05-01\n7700900002,2022-02-03\n",
    );
    put(
        dir.path(),
        "rnd-20261215.csv",
        "NUMBER,DISCONNECTED\n7700900002,2022-02-03\n7700900002,2026-12-01\n7700900001,2026-05-01\n",
    );
    source.reload().unwrap();
    let until = "2026-12-15T00:00:00Z";
    // Of a number that stands twice the last disconnect counts.
    let day = format!("(2026-12-01T00:00:00Z {until}] as of {until}");
    assert_eq!(words(&said(&source, 2).await), day);
    let none = format!("none since 2021-01-27T00:00:00Z as of {until}");
    assert_eq!(words(&said(&source, 9).await), none);
}

#[tokio::test]
async fn a_list_of_everything_that_lost_a_number_is_refused_and_the_one_before_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), EVERYTHING);
    let header = "NUMBER,DISCONNECTED\n";
    let (one, two) = ("7700900001,2026-05-01\n", "7700900002,2022-02-03\n");
    // What is wrong with a list that is older than both does not matter.
    put(dir.path(), "rnd-20261015.csv", "no list");
    put(
        dir.path(),
        "rnd-20261115.csv",
        &format!("{header}{one}{two}"),
    );
    put(dir.path(), "rnd-20261215.csv", &format!("{header}{two}"));
    let error = source.reload().unwrap_err().to_string();
    assert!(
        error.contains("`rnd-20261215.csv` lacks 1 number(s)"),
        "{error}"
    );
    assert_eq!(source.state().condition, Condition::Behind);
    let until = "2026-11-15T00:00:00Z";
    let disconnected = format!("(2026-05-01T00:00:00Z {until}] as of {until}");
    assert_eq!(words(&said(&source, 1).await), disconnected);
    // As after a restart.
    let again = open(dir.path(), EVERYTHING);
    assert!(matches!(again.reload(), Err(ListError::Shrunk { .. })));
    assert_eq!(words(&said(&again, 1).await), disconnected);
    // It was listed in error: whoever runs the adapter says so.
    fs::remove_file(dir.path().join("rnd-20261115.csv")).unwrap();
    source.reload().unwrap();
    assert_eq!(source.state().condition, Condition::Up);
    let none = "none since 2021-01-27T00:00:00Z as of 2026-12-15T00:00:00Z";
    assert_eq!(words(&said(&source, 1).await), none);
}

#[tokio::test]
async fn beside_a_system_that_knows_the_next_holder_a_disconnect_contradicts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), EVERYTHING);
    let list = "NUMBER,DISCONNECTED\n7700900001,2026-05-01\n";
    put(dir.path(), "rnd-20261215.csv", list);
    source.reload().unwrap();
    let listed = said(&source, 1).await.unwrap();
    // He has it since August; in June and July nobody had.
    let day = (at("2026-08-03T00:00:00Z"), at("2026-08-04T00:00:00Z"));
    let known = Observation {
        what: Observed::Change(Change {
            changed_in: ChangedIn::new(day.0, day.1),
            monitored_since: None,
            kind: None,
        }),
        observed_at: at(NOW),
        source: SourceClass::Billing,
    };
    let said = [listed, known].map(|observation| merge::Said {
        trust: merge::Trust::PLAIN,
        outcome: Ok(observation),
    });
    let merged = merge::merge(Signal::NumberRecycling, &said, at(NOW)).unwrap();
    let Observed::Change(change) = merged.what else {
        panic!("{merged:?}");
    };
    let within = change.changed_in.unwrap();
    assert_eq!((within.after(), within.before()), day);
}

#[tokio::test]
async fn lists_of_days_touch_over_a_change_of_the_clocks() {
    let dir = tempfile::tempdir().unwrap();
    let text = EVERYTHING
        .replace(
            "by = \"everything\", since = \"2021-01-27\"",
            "by = \"days\", days = 31",
        )
        .replace("\"UTC\"", "\"Europe/London\"");
    let source = open(dir.path(), &text);
    // The clocks were put back on 25 October.
    for day in ["1015", "1115"] {
        let name = format!("rnd-2026{day}.csv");
        put(dir.path(), &name, "NUMBER,DISCONNECTED\n");
    }
    source.reload().unwrap();
    let none = "none since 2026-09-13T23:00:00Z as of 2026-11-15T00:00:00Z";
    assert_eq!(words(&said(&source, 1).await), none);
}

#[tokio::test]
async fn a_bad_list_is_named_with_its_line_and_the_others_count() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), EVERYTHING);
    let good = "NUMBER,DISCONNECTED\n7700900001,2026-05-01\n";
    put(dir.path(), "rnd-20261115.csv", good);
    for (bad, why) in [
        (
            good.replace("2026-05-01", "01-05-2026"),
            "line 2: has an unreadable date",
        ),
        (
            good.replace("2026-05-01", "1900-01-01"),
            "line 2: has a date before 1970",
        ),
        (
            good.replace("2026-05-01", "2026-12-18"),
            "or after the list",
        ),
        (
            good.replace("7700900001", "x"),
            "line 2: has an unreadable number",
        ),
        (
            good.replace("NUMBER", "MSISDN"),
            "its header lacks `NUMBER`, or has it twice",
        ),
        (
            good.replace("2026-05-01", "2026-05-01,x"),
            "line 2: is no UTF-8, or has more",
        ),
        (good.trim_end().to_owned(), "its last line does not end"),
        (String::new(), "there is no header"),
    ] {
        put(dir.path(), "rnd-20261215.csv", &bad);
        let error = source.reload().unwrap_err().to_string();
        assert!(
            error.contains("rnd-20261215.csv") && error.contains(why),
            "{error}"
        );
        assert!(!error.contains("7700900"), "{error}");
        assert_eq!(source.state().condition, Condition::Behind);
        let day = "(2026-05-01T00:00:00Z 2026-11-15T00:00:00Z] as of 2026-11-15T00:00:00Z";
        assert_eq!(words(&said(&source, 1).await), day);
    }
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(dir.path().join("rnd-20261215.csv"), utf16).unwrap();
    assert!(source.reload().is_err());
    put(dir.path(), "rnd-20261215.csv", good);
    source.reload().unwrap();
    assert_eq!(source.state().condition, Condition::Up);
}

#[tokio::test]
async fn a_list_of_a_time_that_is_not_over_or_without_its_checksum_waits() {
    let dir = tempfile::tempdir().unwrap();
    let text = MONTHLY.replace("final_newline", "sha256_file");
    let source = open(dir.path(), &text);
    let list = "MOBILE_NO\n7700900001\n";
    put(dir.path(), "mnrl-2026-11.csv", list);
    assert!(matches!(source.reload(), Err(ListError::NotWhole { .. })));
    assert_eq!(words(&said(&source, 1).await), "source_down");
    assert_eq!(source.state().condition, Condition::Down);
    let hex = hex::encode(&sha256(&[list.as_bytes()]));
    let sums = dir.path().join("mnrl-2026-11.csv.sha256");
    fs::write(&sums, format!("{}  mnrl-2026-11.csv\n", "0".repeat(64))).unwrap();
    assert!(matches!(source.reload(), Err(ListError::NotWhole { .. })));
    // It comes late, and the list itself is as it was.
    fs::write(&sums, format!("{hex}  mnrl-2026-11.csv\n")).unwrap();
    source.reload().unwrap();
    assert!(said(&source, 1).await.is_ok());
    let early = open(dir.path(), MONTHLY);
    put(dir.path(), "mnrl-2026-12.csv", list);
    assert!(matches!(early.reload(), Err(ListError::Future(_))));
    let until: Timestamp = "2026-11-30T18:30:00Z".parse().unwrap();
    assert_eq!(said(&early, 1).await.unwrap().observed_at, until);
}

#[tokio::test]
async fn of_lists_that_hold_everything_the_newest_is_enough_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), &format!("rows_max = 2\n{EVERYTHING}"));
    let list = |more: &str| format!("NUMBER,DISCONNECTED\n7700900001,2026-05-01\n{more}");
    for day in ["1015", "1115", "1215"] {
        let name = format!("rnd-2026{day}.csv");
        put(dir.path(), &name, &list("7700900002,2026-06-01\n"));
    }
    source.reload().unwrap();
    let at = said(&source, 2).await.unwrap().observed_at;
    assert_eq!(at.to_string(), "2026-12-15T00:00:00Z");
    // One that is too long is refused, and the one before stands.
    let long = list("7700900002,2026-06-01\n7700900003,2026-06-01\n");
    put(dir.path(), "rnd-20261216.csv", &long);
    assert!(matches!(source.reload(), Err(ListError::TooMany)));
    assert_eq!(source.state().condition, Condition::Behind);
    assert!(said(&source, 2).await.is_ok());
}

#[test]
fn limits_are_kept_and_each_rule_is_named_by_its_key() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "mnrl-2026-10.csv",
        "MOBILE_NO\n7700900001\n7700900002\n",
    );
    put(dir.path(), "mnrl-2026-11.csv", "MOBILE_NO\n");
    let many = open(dir.path(), &format!("rows_max = 1\n{MONTHLY}"));
    assert!(matches!(many.reload(), Err(ListError::TooMany)));
    // Of more lists than the limit the newest count: a spool is not cleared for ever.
    let lists = open(dir.path(), &format!("lists_max = 1\n{MONTHLY}"));
    lists.reload().unwrap();
    assert_eq!(lists.book.load().as_ref().unwrap().len(), 0);
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(matches!(lists.reload(), Err(ListError::Io { .. })));
    assert_eq!(lists.state().condition, Condition::Behind);
    let none = open(dir.path(), MONTHLY);
    assert!(none.reload().is_err());
    assert_eq!(none.state().condition, Condition::Down);
    fs::create_dir(dir.path()).unwrap();
    none.reload().unwrap();
    assert_eq!(none.state().condition, Condition::Starting);
    let key = |from: &str, to: &str| {
        let text = format!("directory = \".\"\n{}", EVERYTHING.replace(from, to));
        let config: ListConfig = toml::from_str(&text).unwrap();
        match NumberList::open(config, ManualClock::at(NOW.parse().unwrap())) {
            Err(FilesConfigError::Rule { key, .. }) => key,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(key("rnd-%Y%m%d.csv", "rnd.csv"), "file_name");
    assert_eq!(key("\"UTC\"", "\"Nowhere\""), "time_zone");
    assert_eq!(key("2021-01-27", "27-01-2021"), "covers.since");
    assert_eq!(key("%Y-%m-%d\"", "%Y\""), "columns.disconnected_at");
    assert_eq!(
        key(
            "by = \"everything\", since = \"2021-01-27\"",
            "by = \"days\", days = 0"
        ),
        "covers.days"
    );
}

#[tokio::test]
async fn a_list_that_names_a_number_takes_back_what_was_said_of_it_and_of_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), MONTHLY);
    let mut changes = source.changes().unwrap();
    let mut taken_back = || {
        let mut taken = Vec::new();
        while let Ok(change) = changes.try_recv() {
            assert_eq!(change.observation, None);
            let last = change.msisdn.expose_digits().chars().last();
            taken.push((last.unwrap().to_string(), change.signal));
        }
        taken
    };
    let reload = || Arc::clone(&source).reload_now();
    put(dir.path(), "mnrl-2026-10.csv", "MOBILE_NO\n7700900002\n");
    reload().await.unwrap();
    for last in [1, 2, 3] {
        said(&source, last).await.unwrap();
    }
    assert_eq!(taken_back(), []);
    // 4 is another operator's, or of one whom nobody asked about.
    let november = "MOBILE_NO\n7700900001\n7700900004\n";
    put(dir.path(), "mnrl-2026-11.csv", november);
    reload().await.unwrap();
    let all = Signal::ALL.iter();
    let expected: Vec<_> = all.map(|signal| ("1".to_owned(), *signal)).collect();
    assert_eq!(taken_back(), expected);
    // A list of before, which comes late, says nothing else of the numbers that it does not name.
    put(dir.path(), "mnrl-2026-09.csv", "MOBILE_NO\n7700900009\n");
    reload().await.unwrap();
    assert_eq!(taken_back(), []);
    // A list that is taken away, as a regulator does after a month: what it said is known no more.
    fs::remove_file(dir.path().join("mnrl-2026-11.csv")).unwrap();
    reload().await.unwrap();
    assert_eq!(taken_back(), expected);
}
