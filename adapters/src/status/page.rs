//! The page: tables that a browser shows without a script.

use std::fmt::Write as _;

use accord_proto::hex;
use jiff::Timestamp;

use super::Status;
use crate::{several::Part, source::Condition};

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"5\"><title>accord-adapter</title><style>\
body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222}\
table{border-collapse:collapse;margin:.5em 0 2em}\
th,td{text-align:left;padding:.25em .9em;border-bottom:1px solid #ddd;vertical-align:top}\
th{font-weight:600;border-bottom:2px solid #999}.n{text-align:right}\
.good{color:#0a6b2c}.bad{color:#a40000;font-weight:600}\
</style></head><body>\n";

pub(super) fn html(status: &Status, now: Timestamp) -> String {
    let mut page = HEAD.to_owned();
    let runtime = &status.runtime;
    let head = runtime.journal_head();
    let hash = hex::encode(head.hash.get(..8).unwrap_or_default());
    let restrictions = runtime.restrictions();
    // Writing into a string does not fail; neither below.
    writeln!(
        page,
        "<h1>{} / {}</h1>\n<p>As of {now:.0}. Journal: {} records, head {hash}…. In force: {} \
         opt-outs, {} swap locks, {} kill switches.</p>",
        escaped(runtime.operator()),
        escaped(runtime.instance()),
        head.size,
        restrictions.opted_out,
        restrictions.swap_locked,
        restrictions.kill_switches,
    )
    .ok();
    page.push_str(
        "<h2>Sources</h2>\n<table><tr><th>source<th>kind<th>state<th>since<th>vouches until\
         <th>signals<th class=n>asks<th class=n>answered<th>not answered<th class=n>p50\
         <th class=n>p95<th class=n>ceiling used</tr>\n",
    );
    for part in status.sources.parts() {
        source(&mut page, part, now);
    }
    page.push_str("</table>\n");
    contradictions(&mut page, status);
    page.push_str("<h2>Brokers</h2>\n<table><tr><th>broker<th>link<th>since<th>why</tr>\n");
    for link in runtime.links() {
        let (class, word) = if link.attached {
            ("good", "attached")
        } else {
            ("bad", "not attached")
        };
        writeln!(
            page,
            "<tr><td>{}<td class={class}>{word}<td>{}<td>{}</tr>",
            escaped(&link.broker),
            instant(link.since),
            escaped(&link.why),
        )
        .ok();
    }
    page.push_str("</table>\n<p><a href=\"/metrics\">metrics</a></p></body></html>\n");
    page
}

fn source(page: &mut String, part: &Part, now: Timestamp) {
    let state = part.state();
    let class = match state.condition {
        Condition::Up => "good",
        Condition::Starting
        | Condition::Behind
        | Condition::Down
        | Condition::Refused
        | Condition::Unusable => "bad",
    };
    let why = if state.why.is_empty() {
        String::new()
    } else {
        format!(": {}", escaped(&state.why))
    };
    let until = state.observed_to.map_or_else(
        || "–".to_owned(),
        |to| {
            let age = now.duration_since(to).as_secs();
            format!("{to:.0} ({age} s ago)")
        },
    );
    let signals = part.believed().iter().map(|signal| signal.name());
    let counted = part.counted();
    let reasons = counted
        .reasons
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"));
    let took = |of: fn(&crate::several::Timing) -> std::time::Duration| {
        let took = counted.took.as_ref().map(of);
        took.map_or_else(|| "–".to_owned(), |took| format!("{took:.1?}"))
    };
    let ceiling = part.ceiling().map_or_else(
        || "no ceiling".to_owned(),
        |ceiling| format!("{} of {} a second", ceiling.last_second, ceiling.per_second),
    );
    writeln!(
        page,
        "<tr><td>{}<td>{}<td class={class}>{}{why}<td>{}<td>{until}<td>{}<td class=n>{}\
         <td class=n>{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{ceiling}</tr>",
        escaped(part.name()),
        part.kind(),
        state.condition,
        instant(state.since),
        signals.collect::<Vec<_>>().join(", "),
        counted.asks,
        counted.answered,
        reasons.collect::<Vec<_>>().join(", "),
        took(|took| took.p50),
        took(|took| took.p95),
    )
    .ok();
}

fn contradictions(page: &mut String, status: &Status) {
    let counted = status.sources.contradictions();
    let counted: Vec<_> = counted.iter().filter(|(_, count)| *count > 0).collect();
    if counted.is_empty() {
        return;
    }
    page.push_str("<p class=bad>The sources contradict each other: ");
    let said = counted
        .iter()
        .map(|(signal, count)| format!("{signal} {count} times"));
    page.push_str(&said.collect::<Vec<_>>().join(", "));
    page.push_str(".</p>\n");
}

fn instant(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "the start".to_owned(), |at| format!("{at:.0}"))
}

/// Text that can't end a tag: names come from a file, reasons from other systems.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
