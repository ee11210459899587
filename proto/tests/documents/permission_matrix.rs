//! The sample agreement, and its permissions as they were last reviewed.

use std::{env, fs, path::PathBuf};

use accord_proto::agreement::{
    AgreementDocument, CompiledAgreement, Decision, Row, Scope, Thresholds, explain,
    permission_matrix,
};
use accord_proto::granularity::Granularity;
use accord_proto::party::OrgName;
use accord_proto::purpose::Purpose;
use accord_proto::signal::Signal;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/samples")
        .join(name)
}

fn document() -> AgreementDocument {
    let text = fs::read_to_string(sample("agreement.toml")).unwrap();
    AgreementDocument::parse(&text).unwrap()
}

fn org(name: &str) -> OrgName {
    OrgName::parse(name).unwrap()
}

/// After a wanted change of policy: `ACCORD_BLESS=1 cargo test -p accord-proto permission_matrix`.
#[test]
fn the_permission_matrix_is_the_reviewed_one() {
    let matrix = permission_matrix(&document());
    let path = sample("permission-matrix.txt");
    if env::var_os("ACCORD_BLESS").is_some() {
        fs::write(&path, &matrix).unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap();
    for (line, (now, reviewed)) in (1..).zip(matrix.lines().zip(reviewed.lines())) {
        assert_eq!(
            now, reviewed,
            "line {line} of permission-matrix.txt; see this test's comment"
        );
    }
    assert_eq!(matrix.lines().count(), reviewed.lines().count());
}

#[test]
fn the_table_decides_exactly_as_the_clauses_say() {
    let document = document();
    let agreement = CompiledAgreement::new(document.clone());
    let banks = [
        "first-bank",
        "second-bank",
        "third-bank",
        "open-gateway-bank",
    ]
    .map(org);
    let operators = ["north-mobile", "sud-mobile", "west-mobile"].map(org);
    let mut granted = 0;
    for (bank, operator) in banks
        .iter()
        .flat_map(|b| operators.iter().map(move |o| (b, o)))
    {
        for (signal, purpose) in Signal::ALL
            .iter()
            .flat_map(|s| Purpose::ALL.iter().map(move |p| (*s, *p)))
        {
            let between: Vec<_> = document
                .clauses()
                .iter()
                .filter(|c| c.banks.covers(Some(bank)) && c.operators.covers(Some(operator)))
                .collect();
            let allowing = between
                .iter()
                .find(|c| c.signals.contains(&signal) && c.purposes.contains(&purpose));
            match agreement.decide(bank, operator, signal, purpose) {
                Decision::Granted(clause) => {
                    granted += 1;
                    assert_eq!(clause.id, allowing.unwrap().id);
                    assert!(agreement.has_any_clause(bank, purpose));
                }
                Decision::NotAuthorised(nearest) => {
                    assert!(allowing.is_none() && !between.is_empty());
                    assert!(!nearest.clauses().is_empty());
                    assert!(
                        nearest
                            .clauses()
                            .iter()
                            .all(|id| between.iter().any(|c| c.id == *id))
                    );
                }
                Decision::NotContracted => assert!(between.is_empty()),
            }
        }
    }
    // Rows name `any other` operator once, and here one stranger was asked.
    assert_eq!(granted, explain(&document).len());
    assert!(granted > 30);
}

#[test]
fn a_refusal_says_what_the_nearest_clause_allows() {
    let agreement = CompiledAgreement::new(document());
    let detail = |bank, operator, signal, purpose| match agreement.decide(
        &org(bank),
        &org(operator),
        signal,
        purpose,
    ) {
        Decision::NotAuthorised(nearest) => nearest.detail().to_owned(),
        Decision::Granted(_) | Decision::NotContracted => "another decision".to_owned(),
    };
    assert_eq!(
        detail(
            "second-bank",
            "north-mobile",
            Signal::SimSwap,
            Purpose::DormantAccount
        ),
        "clause 4.2 allows number_recycling only"
    );
    assert_eq!(
        detail(
            "second-bank",
            "north-mobile",
            Signal::NumberRecycling,
            Purpose::Login
        ),
        "clause 4.2 allows the purposes dormant_account only"
    );
    assert_eq!(
        detail("first-bank", "west-mobile", Signal::Roaming, Purpose::Login),
        "clause 5.1 allows sim_swap, device_swap for complaint only"
    );
    assert!(matches!(
        agreement.decide(
            &org("second-bank"),
            &org("sud-mobile"),
            Signal::SimSwap,
            Purpose::Payment
        ),
        Decision::NotContracted
    ));
    assert!(!agreement.has_any_clause(&org("second-bank"), Purpose::Login));
    assert!(!agreement.has_any_clause(&org("third-bank"), Purpose::Complaint));
}

#[test]
fn the_sample_shows_each_kind_of_clause() {
    let document = document();
    let clauses = document.clauses();
    assert_eq!(clauses.len(), 19);
    for granularity in Granularity::ALL {
        assert!(
            clauses
                .iter()
                .any(|clause| clause.granularity == *granularity),
            "{granularity}"
        );
    }
    for signal in Signal::ALL {
        assert!(
            clauses.iter().any(|clause| clause.signals.contains(signal)),
            "{signal}"
        );
    }
    for purpose in Purpose::ALL {
        assert!(
            clauses
                .iter()
                .any(|clause| clause.purposes.contains(purpose)),
            "{purpose}"
        );
    }
    assert!(
        clauses
            .iter()
            .any(|clause| clause.thresholds == Thresholds::Any)
    );
    assert!(clauses.iter().any(|clause| clause.caching().is_some()));
    assert!(clauses.iter().any(|clause| clause.needs_consent()));
    assert!(clauses.iter().any(|clause| !clause.on_behalf_of.is_empty()));
    assert!(clauses.iter().any(|clause| clause.operators == Scope::All));
    assert!(clauses.iter().any(|clause| !clause.opt_out_honoured));
}

#[test]
fn each_row_has_a_cell_for_each_heading() {
    let document = document();
    let rows = explain(&document);
    let row = rows
        .iter()
        .find(|row| row.clause.id.as_str() == "3.1" && row.operator.to_string() == "sud-mobile")
        .unwrap();
    let cells: Vec<_> = Row::HEADINGS.into_iter().zip(row.cells()).collect();
    for expected in [
        ("bank", "first-bank"),
        ("purpose", "payment"),
        ("how precisely", "band"),
        ("thresholds", "24, 72 h"),
        ("one threshold or date per", "24 h"),
        ("looks back", "1825 days"),
        ("observed within", "1 d"),
        ("cached up to", "1 h"),
        ("told besides", "kind, lock"),
        ("quota", "200/s"),
    ] {
        assert!(
            cells.iter().any(|(h, c)| (*h, c.as_str()) == expected),
            "{expected:?} {cells:?}"
        );
    }
}

/// The most banks and operators that an agreement may name, each bank with its own clause.
#[test]
fn the_largest_agreement_compiles() {
    let list = |names: Vec<String>| format!("[\"{}\"]", names.join("\", \""));
    let operators = list((0..50).map(|at| format!("operator-{at}")).collect());
    let good = crate::sample::GOOD;
    let (header, clauses) = good.split_once("[[clause]]").unwrap();
    let (clause, _) = clauses.split_once("[[clause]]").unwrap();
    let clause = |bank: usize| {
        let clause = clause
            .replace("3.1", &format!("3.{bank}"))
            .replace("first-bank", &format!("bank-{bank}"))
            .replace("[\"north-mobile\"]", &operators);
        format!("[[clause]]{clause}")
    };
    let (_, share_keys) = good.split_once("[share_keys]").unwrap();
    let clauses = (0..500).map(clause).collect::<String>();
    let text = format!("{header}{clauses}[share_keys]{share_keys}");
    let agreement = CompiledAgreement::new(AgreementDocument::parse(&text).unwrap());
    let decision = agreement.decide(
        &org("bank-499"),
        &org("operator-49"),
        Signal::SimSwap,
        Purpose::Payment,
    );
    assert!(matches!(decision, Decision::Granted(clause) if clause.id.as_str() == "3.499"));
    let one_more = format!("{text}{}", clause(500));
    let mistakes = AgreementDocument::parse(&one_more).unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "line 1: `clause.banks`: all clauses together name at most 500; `*` names all"
    );
}
