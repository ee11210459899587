//! What a clause lets a question ask.

use accord_proto::agreement::{AgreementDocument, Clause, CompiledAgreement, ThresholdError};
use accord_proto::granularity::Granularity;
use accord_proto::party::OrgName;
use accord_proto::signal::Since;
use jiff::Timestamp;

use crate::sample::{GOOD, with_line};

fn clause(number: usize, line: &str) -> Clause {
    let document = AgreementDocument::parse(&with_line(number, line)).unwrap();
    document.clauses()[0].clone()
}

#[test]
fn a_threshold_must_be_one_of_those_offered() {
    let several = clause(29, "");
    assert_eq!(several.threshold_hours(Some(72)), Ok(Some(72)));
    let error = several.threshold_hours(Some(48)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "clause 3.1 offers the thresholds 24, 72 h"
    );
    assert!(matches!(
        several.threshold_hours(None),
        Err(ThresholdError::Needed { .. })
    ));
}

#[test]
fn the_only_threshold_applies_by_itself() {
    let one = clause(21, "thresholds_hours = [24]");
    assert_eq!(one.threshold_hours(None), Ok(Some(24)));
}

#[test]
fn a_band_is_answered_without_a_threshold_and_coarser_with_one() {
    let band = clause(20, r#"granularity = "band""#);
    assert_eq!(band.threshold_hours(None), Ok(None));
    assert_eq!(band.threshold_hours(Some(24)), Ok(Some(24)));
    let bare = with_line(20, r#"granularity = "band""#).replace(
        "thresholds_hours = [24, 72]\nthreshold_window_hours = 24\n",
        "",
    );
    let bare = AgreementDocument::parse(&bare).unwrap().clauses()[0].clone();
    assert_eq!(bare.threshold_hours(None), Ok(None));
    assert!(matches!(
        bare.threshold_hours(Some(24)),
        Err(ThresholdError::NoneOffered { .. })
    ));
}

#[test]
fn no_question_looks_back_further_than_the_clause() {
    let any = clause(21, r#"thresholds_hours = "any""#);
    assert_eq!(any.threshold_hours(Some(720)), Ok(Some(720)));
    let error = any.threshold_hours(Some(721)).unwrap_err();
    assert_eq!(error.to_string(), "clause 3.1 looks back 30 days");
    let now: Timestamp = "2026-03-31T23:59:59Z".parse().unwrap();
    let day = |text: &str| Since::Day(text.parse().unwrap());
    assert!(any.looks_back_to(day("2026-03-01"), now));
    assert!(!any.looks_back_to(day("2026-02-28"), now));
    // Of a moment it is so many times 24 hours, and no whole day.
    let moment = |text: &str| Since::Moment(text.parse().unwrap());
    assert!(any.looks_back_to(moment("2026-03-02T00:00:00Z"), now));
    assert!(any.looks_back_to(moment("2026-03-01T23:59:59Z"), now));
    assert!(!any.looks_back_to(moment("2026-03-01T23:59:00Z"), now));
}

#[test]
fn a_bank_asks_for_itself_and_for_named_principals_only() {
    let (shop, other) = ("shop-a", "shop-b");
    let org = |name| OrgName::parse(name).unwrap();
    let own = clause(29, "");
    assert!(own.permits_principal(None));
    assert!(!own.permits_principal(Some(&org(shop))));
    let named = clause(29, r#"on_behalf_of = ["shop-a"]"#);
    assert!(named.permits_principal(None) && named.permits_principal(Some(&org(shop))));
    assert!(!named.permits_principal(Some(&org(other))));
}

#[test]
fn what_a_clause_does_not_say_is_the_least() {
    let clause = clause(20, "");
    assert_eq!(clause.granularity, Granularity::YesNo);
    assert!(!clause.swap_kind && clause.on_behalf_of.is_empty());
    assert!(clause.opt_out_honoured && clause.customer_lock);
    let text = with_line(18, r#"signals = ["signalling_anomaly"]"#);
    let text = text.replace("thresholds_hours = [24, 72]", "");
    assert!(!AgreementDocument::parse(&text).unwrap().clauses()[0].attack_kind);
    let uncached = with_line(25, "");
    let uncached = AgreementDocument::parse(&uncached).unwrap();
    assert_eq!(uncached.clauses()[0].caching(), None);
}

#[test]
fn a_clause_for_all_reaches_those_whom_nobody_names() {
    let text = GOOD.replace(r#"operators = ["north-mobile"]"#, r#"operators = ["*"]"#);
    let agreement = CompiledAgreement::new(AgreementDocument::parse(&text).unwrap());
    let id = agreement.clauses()[0].id.clone();
    assert_eq!(agreement.clause(&id).unwrap().id.as_str(), "3.1");
    let rows = accord_proto::agreement::explain(agreement.document());
    assert!(
        rows.iter()
            .all(|row| row.operator.to_string() == "any other")
    );
    assert_eq!(rows.len(), 2);
}
