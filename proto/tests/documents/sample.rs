//! A good agreement and what becomes of it when one line is replaced.

use accord_proto::agreement::AgreementDocument;

/// Line numbers in the tests count these lines.
pub(crate) const GOOD: &str = r#"[agreement]
id = "TEST-1"
version = 1
title = "A test"
effective = 2026-01-01
expires = 2027-01-01
telecom_regulator = "spiffe://accord.test/authority/telecom-regulator"
central_bank = "spiffe://accord.test/authority/central-bank"

[[clause]]
id = "3.1"
title = "A swap"
text = "What was agreed."
legal_basis = "legitimate_interest"
basis_reference = "An act"
banks = ["first-bank"]
operators = ["north-mobile"]
signals = ["sim_swap"]
purposes = ["payment"]
granularity = "yes_no"
thresholds_hours = [24, 72]
threshold_window_hours = 24
look_back_days = 30
age_max_minutes = 60
caching_minutes = 30
consent = "not_required"
per_second = 10
retention_days = 365

[[clause]]
id = "3.2"
title = "A state"
text = "What was agreed."
legal_basis = "legitimate_interest"
basis_reference = "An act"
banks = ["first-bank"]
operators = ["north-mobile"]
signals = ["roaming"]
purposes = ["payment"]
age_max_minutes = 60
consent = "not_required"
per_second = 10
retention_days = 365

[share_keys]
telecom_regulator = "telecom-regulator+644c295f+ACDSJuw4Kae0GAeszUaVVfB6GbXxttv5K8j1GqlEkU0xNw=="
central_bank = "central-bank+89444edd+ACAaNsDRk1NL+6dZeZ60W/cj24CkYddxtrcyJ3VORyvySA=="
"#;

pub(crate) fn mistakes(text: &str) -> Vec<String> {
    match AgreementDocument::parse(text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes
            .as_slice()
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// The good text with one line replaced, where `""` leaves an empty line; the 44th is one.
pub(crate) fn with_line(number: usize, new: &str) -> String {
    let lines = (1..).zip(GOOD.lines());
    let lines = lines.map(|(at, line)| if at == number { new } else { line });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Replacing a line by `new` gives exactly one mistake, which begins with `line N: ` and the rest.
#[track_caller]
pub(crate) fn one_mistake(number: usize, new: &str, expected: &str) {
    let found = mistakes(&with_line(number, new));
    let [one] = found.as_slice() else {
        panic!("`{new}` on line {number}: {found:#?}");
    };
    assert!(one.starts_with(expected), "`{new}` on line {number}: {one}");
}
