//! The section on fair access: whether every bank is served alike.

use super::super::{Bank, Compared, Count, Fairness, Questions, Report, Verdict, stats};
use super::charts;
use super::sections::{span_chart, table};
use super::words::{count, escape, maybe_micros, p_value, percent};

pub(super) fn fair_access(report: &Report) -> String {
    let mut out = String::from(
        "<section>\n<h2>Fair access</h2>\n<p>Every bank is to be served alike: no difference in \
         price, access or quality between them (rule R22).</p>\n",
    );
    if report.banks.is_empty() {
        return out + "<p>No bank asked.</p>\n</section>\n";
    }
    out.push_str("<h3>How long single questions waited: half, and 95 % of them</h3>\n");
    let spans = |bank: &Bank| Some((bank.p50_us?, bank.p95_us?));
    let rows: Vec<_> = report
        .banks
        .iter()
        .filter_map(|bank| spans(bank).map(|(p50, p95)| (bank.bank.as_str(), p50, p95)))
        .collect();
    out.push_str(&span_chart(&rows, "How long each bank's questions waited"));
    let longer: Vec<_> = report
        .fairness
        .iter()
        .filter_map(|row| {
            let waits = row.waits?;
            Some((row.bank.as_str(), waits.longer?, colour(waits.verdict())))
        })
        .collect();
    if !longer.is_empty() {
        out.push_str(
            "<h3>How likely its question waits longer than one of the others</h3>\n<figure>",
        );
        let title = "Probability that a bank's question waits longer than one of the others";
        out.push_str(&charts::longer(&longer, stats::FELT, title));
        out.push_str("<figcaption>Within the shaded band a difference is negligible.</figcaption>");
        out.push_str("</figure>\n");
    }
    out.push_str(&bank_table(report));
    out + "</section>\n"
}

fn colour(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Alike | Verdict::Better | Verdict::Negligible => 0,
        Verdict::Worse => 3,
    }
}

fn bank_table(report: &Report) -> String {
    let row = |bank: &Bank| {
        let asked: Count = outcomes(&bank.questions).into_iter().sum();
        vec![
            escape(&bank.bank),
            count(asked),
            count(bank.questions.answered),
            count(bank.bulk),
            count(bank.failed),
            count(bank.quota),
            count(bank.rate_limited),
            count(bank.questions.refused),
            maybe_micros(bank.p50_us),
            maybe_micros(bank.p95_us),
        ]
    };
    let rows: Vec<_> = report.banks.iter().map(row).collect();
    let headings = [
        "bank", "asked", "answered", "bulk", "failed", "quota", "too fast", "refused", "p50", "p95",
    ];
    let mut out = table("Banks", &headings, &rows, &[]);
    let row = |one: &Fairness| {
        let longer = one.waits.and_then(|waits| waits.longer);
        vec![
            escape(&one.bank),
            longer.map_or_else(|| "–".to_owned(), percent),
            judged(one.waits),
            judged(one.failures),
        ]
    };
    let rows: Vec<_> = report.fairness.iter().map(row).collect();
    let headings = ["bank", "waits longer", "its waits", "its failures"];
    out.push_str(&table(
        "Is a bank served unlike all others?",
        &headings,
        &rows,
        &[2, 3],
    ));
    out
}

const fn outcomes(questions: &Questions) -> [Count; 3] {
    [
        questions.answered,
        questions.partly_answered,
        questions.unanswered,
    ]
}

fn judged(compared: Option<Compared>) -> String {
    let Some(compared) = compared else {
        return "too few to tell".to_owned();
    };
    let verdict = compared.verdict();
    let class = match verdict {
        Verdict::Worse => "worse",
        Verdict::Better => "better",
        Verdict::Alike | Verdict::Negligible => "",
    };
    format!(
        "<span class=\"{class}\">{}</span>, p {}",
        verdict.words(),
        p_value(compared.p_corrected).replace('<', "&lt;")
    )
}
