//! The sections of the page.

use std::fmt::Write as _;

use super::super::{Count, Happening, Operator, Report};
use super::charts::{self, Span};
use super::words::{count, escape, maybe_micros, moment, number, percent, span};
use crate::footer::Footer;

/// How everything was counted, so that a reader can dispute it.
pub(super) const HOW: &str = r#"<section>
<h2>How this was counted</h2>
<ol class="how">
<li>From entries of the ledger alone. Whoever holds the same entries gets the same report.</li>
<li><strong>Waits</strong> run from a question's arrival at the broker to its record, and of an
operator from the broker's ask to the reply. Percentiles are nearest ranks, told to within 0.4 %.
Lines of screenings wait for their turn by design and are left out of the waits of banks.</li>
<li><strong>Whether waits differ</strong> is judged by van Elteren's test: Wilcoxon's rank sum, with
ties corrected, only among questions to the same operator that were served from the same kind of
source. Beside it stands the probability that a question of the bank waits longer than one of the
others. Less than 6 points from 50 % is called negligible (Vargha and Delaney).</li>
<li><strong>Whether failures differ</strong> (a signal late, its source down or overloaded, its route
unknown) is judged by the test of Cochran, Mantel and Haenszel, within operator and kind of call.</li>
<li>Each bank is compared with all others together. p values are corrected for all tests of this
report by Holm's method; below 0.05 a difference is called significant.</li>
<li>Both tests take questions for independent of each other. Many that queue behind one another in
one burst are not: look at the activity before a difference is held against anybody.</li>
<li><strong>Too few to tell</strong>: fewer than 30 comparable waits on either side, or expected
failures short of the criterion of Mantel and Fleiss. Too few to tell does not mean alike.</li>
<li>Quotas and refusals depend on what a bank asks, so they are told and not tested.</li>
<li><strong>Attached</strong>: of the time that the broker ran, the share in which the operator had
an adapter attached. Who left or replied first is taken to have been attached before.</li>
<li>An authority sees what lies within its remit, or with a joint statement all. What a party other
than an authority is told holds no other party's volume (rule R25): <em>withheld</em>.</li>
</ol>
</section>
"#;

pub(super) fn period(report: &Report) -> String {
    let period = &report.period;
    let end = |asked: &Option<String>, found: &Option<String>| {
        let text = asked.as_ref().or(found.as_ref());
        text.map_or_else(|| "–".to_owned(), |text| moment(text))
    };
    let (from, until) = (
        end(&period.from, &period.first),
        end(&period.until, &period.last),
    );
    match (from.split_once(' '), until.split_once(' ')) {
        (Some((day, _)), Some((same, until))) if day == same => format!("{from} to {until} UTC"),
        _ => format!("{from} to {until} UTC"),
    }
}

pub(super) fn head(report: &Report, footer: &Footer) -> String {
    let logs: Vec<_> = report
        .period
        .logs
        .iter()
        .map(|log| format!("<code>{}</code>", escape(log)))
        .collect();
    let audience = match report.audience.as_str() {
        "authorities" => "for the authorities".to_owned(),
        party => format!("for {}", escape(party)),
    };
    format!(
        "<header>\n<p class=\"mark\">Accord · report to the joint committee \
         <span class=\"seal\">{}</span></p>\n<h1>{}</h1>\n<p class=\"lead\">{} entries of {}, {}; \
         seen: {}. Made {} UTC.</p>\n</header>\n",
        escape(&footer.sensitivity),
        escape(&period(report)),
        count(report.period.entries),
        if logs.is_empty() {
            "no log".to_owned()
        } else {
            logs.join(", ")
        },
        audience,
        escape(&report.sight),
        escape(&moment(&footer.made)),
    )
}

pub(super) fn overview(report: &Report) -> String {
    let all = report.questions;
    let told = [all.answered, all.partly_answered, all.unanswered];
    let asked: Count = told.into_iter().sum();
    let mut out = String::from("<section>\n<dl class=\"key\">\n");
    let share = |part: Count| match (part, asked) {
        (Some(part), Some(all)) if all > 0 => percent(part as f64 / all as f64),
        (Some(_), Some(_)) => "–".to_owned(),
        _ => "withheld".to_owned(),
    };
    for (name, value) in [
        ("questions", count(asked)),
        ("answered in full", share(all.answered)),
        ("calls refused", count(all.refused)),
        ("banks", number(report.banks.len() as u64)),
        ("operators", number(report.operators.len() as u64)),
        ("broker ran", span(report.period.broker_ran_ms)),
    ] {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
    let withheld = report
        .activity
        .iter()
        .any(|row| row.questions.answered.is_none());
    if report.activity.is_empty() {
        out.push_str("<p>No question was asked in this period.</p>\n");
    } else if !withheld {
        out.push_str("<figure>\n");
        out.push_str(&charts::legend(&[
            (0, "answered"),
            (1, "partly answered"),
            (2, "unanswered"),
            (3, "refused as a whole"),
        ]));
        out.push_str(&charts::activity(&report.activity));
        out.push_str("\n<figcaption>Questions over time, UTC. The figures stand in the report as ");
        out.push_str("JSON.</figcaption>\n</figure>\n");
    }
    out + "</section>\n"
}

/// From what half needed to what 95 % did, a row for each.
pub(super) fn span_chart(rows: &[(&str, u64, u64)], title: &str) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|(label, p50, p95)| Span {
            label,
            p50: *p50,
            p95: *p95,
        })
        .collect();
    if rows.is_empty() {
        return "<p class=\"note\">Nothing was measured.</p>\n".to_owned();
    }
    format!("<figure>{}</figure>\n", charts::spans(&rows, title))
}

pub(super) fn operators(report: &Report) -> String {
    let mut out = String::from(
        "<section>\n<h2>Operators: there, and in time</h2>\n<p>What an operator's systems answered, \
         how fast, and for how long its adapter was attached (rules R23 and R24).</p>\n",
    );
    if report.operators.is_empty() {
        return out + "<p>No operator was asked.</p>\n</section>\n";
    }
    out.push_str("<h3>How long replies took: half, and 95 % of them</h3>\n");
    let spans = |one: &Operator| Some((one.p50_us?, one.p95_us?));
    let rows: Vec<_> = report
        .operators
        .iter()
        .filter_map(|one| spans(one).map(|(p50, p95)| (one.operator.as_str(), p50, p95)))
        .collect();
    out.push_str(&span_chart(&rows, "How long each operator's replies took"));
    let parts = |one: &Operator| {
        let failed = one.timeout? + one.source_down? + one.overloaded?;
        Some(vec![one.answered?, 0, one.not_known?, failed])
    };
    let shares: Vec<_> = report
        .operators
        .iter()
        .filter_map(|one| parts(one).map(|parts| (one.operator.as_str(), parts)))
        .collect();
    if !shares.is_empty() {
        out.push_str("<h3>What became of the signals that it could have answered</h3>\n<figure>");
        out.push_str(&charts::legend(&[
            (0, "answered"),
            (2, "not known to it"),
            (3, "late, down or overloaded"),
        ]));
        out.push_str(&charts::shares(
            &shares,
            "What became of each operator's signals",
        ));
        out.push_str("</figure>\n");
    }
    let rows: Vec<_> = report.operators.iter().map(operator_row).collect();
    out.push_str(&table(
        "Operators",
        &[
            "operator",
            "answered",
            "not known",
            "late",
            "down",
            "overloaded",
            "failed",
            "p50",
            "p95",
            "attached",
            "not believed",
        ],
        &rows,
        &[],
    ));
    out + "</section>\n"
}

fn operator_row(one: &Operator) -> Vec<String> {
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    vec![
        escape(&one.operator),
        count(one.answered),
        count(one.not_known),
        count(one.timeout),
        count(one.source_down),
        count(one.overloaded),
        share(one.failed_share),
        maybe_micros(one.p50_us),
        maybe_micros(one.p95_us),
        share(one.attached),
        count(one.not_believed),
    ]
}

pub(super) fn without_value(report: &Report) -> String {
    let mut out = String::from("<section>\n<h2>What was not answered, and why</h2>\n");
    let bars: Vec<_> = report
        .reasons
        .iter()
        .filter_map(|row| Some((row.reason.as_str(), row.signals?, class_of(row.fault))))
        .collect();
    if !bars.is_empty() {
        out.push_str("<figure>");
        out.push_str(&charts::legend(&[
            (3, "operator or broker"),
            (2, "bank"),
            (1, "agreement or subscriber"),
            (4, "nobody: this is what is known"),
        ]));
        out.push_str(&charts::bars(&bars, "Signals without a value, by reason"));
        out.push_str("<figcaption>Signals without a value, by reason, coloured by who could have ");
        out.push_str("made it otherwise.</figcaption></figure>\n");
    }
    let rows: Vec<_> = report
        .reasons
        .iter()
        .map(|row| {
            vec![
                escape(&row.reason),
                row.fault.to_owned(),
                count(row.signals),
            ]
        })
        .collect();
    out.push_str(&table(
        "Signals without a value",
        &["reason", "whose", "signals"],
        &rows,
        &[1],
    ));
    let rows: Vec<_> = report
        .refusals
        .iter()
        .map(|row| vec![escape(&row.name), count(row.count)])
        .collect();
    out.push_str(&table(
        "Calls refused as a whole",
        &["reason", "calls"],
        &rows,
        &[],
    ));
    out + "</section>\n"
}

fn class_of(fault: &str) -> usize {
    match fault {
        "operator" | "broker" => 3,
        "bank" => 2,
        "agreement" | "subscriber" => 1,
        _ => 4,
    }
}

pub(super) fn purposes(report: &Report) -> String {
    let mut out = String::from("<section>\n<h2>What numbers were asked about for</h2>\n");
    let bars: Vec<_> = report
        .purposes
        .iter()
        .filter_map(|row| Some((row.name.as_str(), row.count?, 0)))
        .collect();
    if !bars.is_empty() {
        out.push_str("<figure>");
        out.push_str(&charts::bars(&bars, "Questions by purpose"));
        out.push_str("</figure>\n");
    }
    let rows: Vec<_> = report
        .purposes
        .iter()
        .map(|row| vec![escape(&row.name), count(row.count)])
        .collect();
    out.push_str(&table(
        "Questions by purpose",
        &["purpose", "questions"],
        &rows,
        &[],
    ));
    out + "</section>\n"
}

pub(super) fn happenings(report: &Report) -> String {
    let mut out = String::from("<section>\n<h2>What happened</h2>\n");
    for (caption, rows) in [
        ("Suspensions and other acts on the agreement", &report.acts),
        ("Anomalies: signs to look, not findings", &report.anomalies),
        (
            "The broker: starts, stops, clock and witnesses",
            &report.operations,
        ),
    ] {
        let rows: Vec<_> = rows.iter().map(happening).collect();
        out.push_str(&table(
            caption,
            &["time (UTC)", "what", "entry"],
            &rows,
            &[1],
        ));
    }
    if report.unlisted > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} more were left out.</p>",
            number(report.unlisted)
        );
    }
    let rows: Vec<_> = report
        .readers
        .iter()
        .map(|row| vec![escape(&row.name), count(row.count)])
        .collect();
    out.push_str(&table(
        "Who read the ledger",
        &["reader", "reads"],
        &rows,
        &[],
    ));
    out + "</section>\n"
}

fn happening(one: &Happening) -> Vec<String> {
    vec![
        escape(
            &one.time
                .chars()
                .take(19)
                .collect::<String>()
                .replace('T', " "),
        ),
        escape(&one.what),
        number(one.index),
    ]
}

/// A table; `text` names the columns, beside the first, that hold text. Cells are HTML already.
pub(super) fn table(
    caption: &str,
    headings: &[&str],
    rows: &[Vec<String>],
    text: &[usize],
) -> String {
    if rows.is_empty() {
        return format!("<h3>{caption}</h3>\n<p class=\"note\">None.</p>\n");
    }
    let class = |at: usize| {
        if text.contains(&at) {
            " class=\"text\""
        } else {
            ""
        }
    };
    let mut out = format!("<table>\n<caption>{caption}</caption>\n<thead><tr>");
    for (at, heading) in headings.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{heading}</th>", class(at));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(at));
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody>\n</table>\n"
}
