//! The list of parties: who must sign it, and each mistake that it can have.

use accord_proto::c2sp::NoteError;
use accord_proto::camara::{ClientId, DpvPurpose, Operation};
use accord_proto::document::{Loaded, NotNewer};
use accord_proto::msisdn::Msisdn;
use accord_proto::parties::{KeyAlgorithm, NotLicensed, Parties, PartiesError};
use accord_proto::party::{PartyId, Role};
use accord_proto::purpose::Purpose;

use crate::signers::{Pair, signed, stranger};

/// Line numbers in the tests count these lines.
const PARTIES: &str = r#"[parties]
id = "TEST-PARTIES"
version = 1

[[party]]
id = "spiffe://accord.test/bank/first-bank"
name = "First Bank"
licence = { number = "B-1", supervisor = "Central Bank", from = 2020-01-01, status = "active" }

[[party.keys]]
kid = "first-bank-1"
alg = "ES256"
public_key = """
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE81S3vubY9/EwiHGlM2DqA1NSDWTh
RH6y6lfETjqyTDZ6kigMgSLmpz/Jl7LyNuzcxDCabnqr4QG7ipqz+Hj2QQ==
-----END PUBLIC KEY-----
"""

[[party.keys]]
kid = "first-bank-2"
alg = "EdDSA"
public_key = """
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAEPRkdc7H9Ot3UDmnqs93YkGIVPQ11lhVrz7mjCq9lYU=
-----END PUBLIC KEY-----
"""

[[party]]
id = "spiffe://accord.test/operator/north-mobile"
name = "North Mobile"
ranges = ["+4477009000"]

[party.licence]
number = "M-1"
supervisor = "Telecom Regulator"
from = 2020-01-01
until = 2030-01-01
status = "suspended"

[[party]]
id = "spiffe://accord.test/operator/south-mobile"
name = "South Mobile"
ranges = ["+447700900", "+33639980"]
licence = { number = "M-2", supervisor = "Telecom Regulator", from = 2020-01-01, status = "active" }
"#;

fn id(text: &str) -> PartyId {
    PartyId::parse(text).unwrap()
}

#[test]
fn a_list_signed_by_both_authorities_opens() {
    let pair = Pair::new();
    let parties = Parties::open(&pair.sign(PARTIES), &pair.authorities(), None).unwrap();
    assert_eq!(
        (parties.id(), parties.version(), parties.all().len()),
        ("TEST-PARTIES", 1, 3)
    );
    let bank = parties
        .party(&id("spiffe://accord.test/bank/first-bank"))
        .unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(bank.licence_in_force(now), Ok(()));
    let key = bank.key("first-bank-1").unwrap();
    assert_eq!(
        (key.algorithm(), key.bytes().len()),
        (KeyAlgorithm::Es256, 65)
    );
    assert!(PARTIES.contains(&key.pem()));
    let key = bank.key("first-bank-2").unwrap();
    assert_eq!(
        (key.algorithm(), key.bytes().len()),
        (KeyAlgorithm::EdDsa, 32)
    );
    assert!(PARTIES.contains(&key.pem()));
    assert_eq!(bank.key("first-bank-3"), None);
    let operator = parties
        .party(&id("spiffe://accord.test/operator/north-mobile"))
        .unwrap();
    assert_eq!(operator.licence_in_force(now), Err(NotLicensed::Suspended));
    assert!(
        parties
            .party(&id("spiffe://accord.test/bank/north-mobile"))
            .is_none()
    );
}

#[test]
fn the_longest_range_serves_a_number() {
    let pair = Pair::new();
    let parties = Parties::open(&pair.sign(PARTIES), &pair.authorities(), None).unwrap();
    let operator = |number| {
        let party = parties.operator_of(&Msisdn::parse(number).unwrap());
        party.map(|party| party.id.org().as_str().to_owned())
    };
    assert_eq!(operator("+447700900001").as_deref(), Some("north-mobile"));
    assert_eq!(operator("+447700900901").as_deref(), Some("south-mobile"));
    assert_eq!(operator("+33639980001").as_deref(), Some("south-mobile"));
    assert_eq!(operator("+99907001001"), None);
    assert_eq!(parties.ranges().count(), 3);
}

#[test]
fn a_party_is_believed_only_if_its_own_authority_signed() {
    let pair = Pair::new();
    let open = |note: &str| Parties::open(note, &pair.authorities(), None).unwrap_err();
    assert_eq!(open(PARTIES), PartiesError::Note(NoteError::Unsigned));
    assert!(matches!(
        open(&signed(PARTIES, &[&stranger()])),
        PartiesError::Stranger { .. }
    ));
    let by_central_bank = open(&signed(PARTIES, &[&pair.central_bank]));
    assert!(matches!(
        &by_central_bank,
        PartiesError::NotLicensor {
            line: 29,
            role: Role::Operator,
            ..
        }
    ));
    assert_eq!(
        open(&signed(PARTIES, &[&pair.telecom_regulator])).to_string(),
        "line 5: bank `spiffe://accord.test/bank/first-bank` is believed only if `central-bank`, \
         which licenses it, signs the list"
    );
    let banks_only = PARTIES
        .split("[[party]]\nid = \"spiffe://accord.test/operator")
        .next()
        .unwrap();
    let note = signed(banks_only, &[&pair.central_bank]);
    assert!(Parties::open(&note, &pair.authorities(), None).is_ok());
}

#[test]
fn an_older_list_can_not_bring_a_revoked_key_back() {
    let pair = Pair::new();
    let last = Some(Loaded {
        version: 2,
        sha256: [7; 32],
    });
    assert_eq!(
        Parties::open(&pair.sign(PARTIES), &pair.authorities(), last).unwrap_err(),
        PartiesError::NotNewer(NotNewer::Older {
            version: 1,
            last: 2
        })
    );
}

/// Replacing `from` by `to` gives these mistakes.
#[track_caller]
fn list_mistakes(from: &str, to: &str, expected: &[&str]) {
    assert!(PARTIES.contains(from), "{from}");
    let mistakes = Parties::check(&PARTIES.replacen(from, to, 1)).unwrap_err();
    let found: Vec<String> = mistakes
        .as_slice()
        .iter()
        .map(ToString::to_string)
        .collect();
    let as_expected = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.starts_with(expected));
    assert!(as_expected, "{found:#?}");
}

#[test]
fn each_mistake_in_a_list_is_named_with_its_line() {
    list_mistakes(
        "version = 1",
        "version = 0",
        &["line 3: `parties.version`: lies from"],
    );
    list_mistakes(
        "version = 1",
        "version = 1\nvalid = 1",
        &["line 4: `parties.valid`: unknown key"],
    );
    list_mistakes(
        "bank/first",
        "authority/first",
        &["line 6: `party.id`: is a bank or an operator"],
    );
    list_mistakes(
        "name = \"First Bank\"",
        "",
        &["line 5: `party.name`: is required"],
    );
    list_mistakes(
        "from = 2020-01-01",
        "from = 2020",
        &["line 8: `party.licence.from`: is a calendar"],
    );
    list_mistakes(
        "number = \"M-1\"",
        "",
        &["line 34: `party.licence.number`: is required"],
    );
    list_mistakes(
        "until = 2030",
        "until = 2019",
        &["line 38: `party.licence.until`: lies after"],
    );
    list_mistakes(
        "\"suspended\"",
        "\"paused\"",
        &["line 39: `party.licence.status`: unknown licence"],
    );
    list_mistakes(
        "\"M-1\"",
        "\"M-1\"\nx = 1",
        &["line 36: `party.licence.x`: unknown key"],
    );
    list_mistakes(
        "kid = \"first-bank-1\"",
        "kid = \"a b\"",
        &["line 11: `party.keys.kid`: is 1 to"],
    );
    list_mistakes(
        "\"ES256\"",
        "\"none\"",
        &["line 12: `party.keys.alg`: unknown algorithm `none`"],
    );
    list_mistakes(
        "\"+447700900\"",
        "\"44\"",
        &["line 44: `party.ranges`: a range is `+`"],
    );
    list_mistakes(
        "ranges = [\"+4477009000\"]",
        "",
        &["line 29: `party.ranges`: is required"],
    );
    list_mistakes(
        "name = \"First Bank\"",
        "name = \"First Bank\"\nranges = []",
        &["line 8: `party.ranges`: belongs to operators"],
    );
}

#[test]
fn what_stands_twice_in_a_list_names_both_lines() {
    list_mistakes(
        "south-mobile",
        "north-mobile",
        &["line 41: `party.id`: `spiffe://accord.test/operator/north-mobile` stands on line 29"],
    );
    list_mistakes(
        "first-bank-2",
        "first-bank-1",
        &["line 21: `party.keys.kid`: `first-bank-1` is the name of the key on line 11"],
    );
    list_mistakes(
        "\"+33639980\"",
        "\"+4477009000\"",
        &["line 41: `party.ranges`: `+4477009000` is served by the operator on line 29"],
    );
    list_mistakes(
        "accord.test/operator/south",
        "other.test/operator/south",
        &["line 41: `party.id`: has another trust domain"],
    );
}

#[test]
fn a_key_of_another_kind_or_a_private_one_is_named() {
    list_mistakes(
        "\"ES256\"",
        "\"EdDSA\"",
        &["line 13: `party.keys.public_key`: is no public key"],
    );
    list_mistakes(
        "-----BEGIN PUBLIC KEY-----\nMFk",
        "-----BEGIN EC PRIVATE KEY-----\nMFk",
        &["line 13: `party.keys.public_key`: is a private key"],
    );
    // A point that does not lie on the curve.
    list_mistakes(
        "AE81S3v",
        "AE81SAv",
        &["line 13: `party.keys.public_key`: is no public key"],
    );
    list_mistakes(
        "MFkw",
        "M!kw",
        &["line 13: `party.keys.public_key`: is PEM"],
    );
    let keyless = PARTIES.split("[[party.keys]]").next().unwrap();
    let mistakes = Parties::check(keyless).unwrap_err();
    assert!(
        mistakes
            .to_string()
            .starts_with("line 5: `party.keys`: at least one"),
        "{mistakes}"
    );
}

/// The list with a client of the first bank.
fn with_client(client: &str) -> String {
    let operator = "[[party]]\nid = \"spiffe://accord.test/operator/north-mobile\"";
    PARTIES.replacen(operator, &format!("{client}\n{operator}"), 1)
}

const CLIENT: &str = r#"[[party.client]]
id = "payments"
purposes = { "dpv:FraudPreventionAndDetection" = "payment" }
scopes = ["sim-swap", "number-recycling:check"]
keys = ["first-bank-2"]
"#;

#[test]
fn a_bank_registers_its_applications() {
    let pair = Pair::new();
    let list = pair.sign(&with_client(CLIENT));
    let parties = Parties::open(&list, &pair.authorities(), None).unwrap();
    let (party, client) = parties
        .client(&ClientId::parse("payments").unwrap())
        .unwrap();
    assert_eq!(party.id, id("spiffe://accord.test/bank/first-bank"));
    let fraud = DpvPurpose::parse("dpv:FraudPreventionAndDetection").unwrap();
    let marketing = DpvPurpose::parse("dpv:Marketing").unwrap();
    assert_eq!(client.purpose(&fraud), Some(Purpose::Payment));
    assert_eq!(client.purpose(&marketing), None);
    assert!(client.may_sign_with("first-bank-2") && !client.may_sign_with("first-bank-1"));
    assert!(client.scopes.allows(Operation::SimSwapRetrieveDate));
    assert!(!client.scopes.allows(Operation::TenureCheck));
    assert_eq!(parties.client(&ClientId::parse("other").unwrap()), None);
}

#[test]
fn each_mistake_in_a_client_is_named() {
    let wrong = CLIENT
        .replace("\"payments\"", "\"447700900001\"")
        .replace("\"payment\"", "\"marketing\"")
        .replace("\"sim-swap\"", "\"quality-on-demand\"")
        .replace("first-bank-2", "north-1");
    let mistakes = Parties::check(&with_client(&wrong))
        .unwrap_err()
        .to_string();
    for part in [
        "`party.client.id`: a client's name is",
        "dpv:FraudPreventionAndDetection`: is no purpose of the agreement",
        "`party.client.scopes`: is no scope; they are sim-swap,",
        "`party.client.keys`: is no `kid` of this party",
    ] {
        assert!(mistakes.contains(part), "{part}\n{mistakes}");
    }
    let twice = with_client(&format!("{CLIENT}\n{CLIENT}"));
    let mistakes = Parties::check(&twice).unwrap_err().to_string();
    assert!(
        mistakes.contains("`payments` is the client on line"),
        "{mistakes}"
    );
    let operators = format!(
        "{PARTIES}\n{}",
        CLIENT.replace("keys = [\"first-bank-2\"]\n", "")
    );
    let mistakes = Parties::check(&operators).unwrap_err().to_string();
    assert!(mistakes.contains("belongs to banks"), "{mistakes}");
    let nothing = CLIENT.replace(
        "{ \"dpv:FraudPreventionAndDetection\" = \"payment\" }",
        "{}",
    );
    let mistakes = Parties::check(&with_client(&nothing))
        .unwrap_err()
        .to_string();
    assert!(mistakes.contains("names 1 to 20 purposes"), "{mistakes}");
}
