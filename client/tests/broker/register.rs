//! `accord parties`: the list is changed where it must be, shown before it is written, and never
//! written with a mistake in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use accord_certs::TokenKey;
use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    parties::Parties,
};
use serde_json::Value;

use crate::command::{accord, told};

/// A directory with a signed list and public keys.
struct Desk {
    dir: tempfile::TempDir,
}

const LIST: &str = r#"# Who takes part.
[parties]
id = "TEST-PARTIES"
version = 7 # raised with each change

# The first bank on the list.
[[party]]
id = "spiffe://accord.test/bank/first-bank"
name = "First \"Big\" Bank" # as it writes itself
licence = { number = "B-1", supervisor = "Central Bank", from = 2020-01-01, status = "active" }

# Of the payments department.
[[party.keys]]
kid = "first-1"
alg = "ES256"
public_key = """
FIRST
"""

[[party.client]]
id = "first-app"
purposes = { "dpv:FraudPreventionAndDetection" = "payment" }
scopes = ["sim-swap"]
keys = ["first-1"] # its own

# Serves [[party]] numbers.
[[party]]
id = "spiffe://accord.test/operator/north-mobile"
name = "North Mobile"
ranges = ["+447700900"]
[party.licence]
number = "M-1"
supervisor = "Telecom Regulator"
from = 2020-01-01
status = "active"
"#;

impl Desk {
    fn new() -> Self {
        let desk = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let first = desk.make_key("first", &TokenKey::es256().unwrap());
        desk.make_key("second", &TokenKey::ed25519().unwrap());
        fs::write(desk.path("none.pub"), "no key\n").unwrap();
        desk.make_key("third", &TokenKey::es256().unwrap());
        let mut note = SignedNote::unsigned(LIST.replace("FIRST", first.trim())).unwrap();
        for name in ["central-bank", "telecom-regulator"] {
            note.sign(&SigningKey::generate(name).unwrap()).unwrap();
        }
        fs::write(desk.list(), note.to_string()).unwrap();
        desk
    }

    fn make_key(&self, name: &str, key: &TokenKey) -> String {
        key.write(self.dir.path(), name).unwrap();
        key.public_pem()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn list(&self) -> PathBuf {
        self.path("parties.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.list()).unwrap()
    }

    /// The list without its signatures.
    fn body(&self) -> String {
        let text = self.text();
        let note = SignedNote::parse(&text).ok();
        note.map_or(text, |note| note.text().to_owned())
    }

    /// `accord parties`, with `LIST` for the list and `name.pub` for a file of the desk.
    fn run(&self, args: &str) -> (i32, String, String) {
        let place = |name: &str| self.path(name).display().to_string();
        let args = args.split_whitespace().map(|arg| match arg {
            "LIST" => place("parties.toml"),
            file if file.ends_with(".pub") || file.ends_with(".key") => place(file),
            file if file.ends_with(".toml") => place(file),
            other => other.replace('~', " "),
        });
        let args: Vec<String> = std::iter::once("parties".to_owned()).chain(args).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        told(&accord(None, &args))
    }

    fn good(&self, args: &str) -> String {
        let (code, out, error) = self.run(args);
        assert_eq!(code, 0, "{args}: {out}{error}");
        out
    }

    fn refused(&self, args: &str, code: i32, words: &str) {
        let before = self.text();
        let (found, out, error) = self.run(args);
        assert_eq!(found, code, "{args}: {out}{error}");
        assert!(
            format!("{out}{error}").contains(words),
            "{args}: {out}{error}"
        );
        assert_eq!(self.text(), before, "{args}");
    }
}

/// The lines of a diff, without their numbers.
fn lines<'a>(diff: &'a str, sign: &str) -> Vec<&'a str> {
    let lines = diff.lines().filter_map(|line| line.strip_prefix(sign));
    lines.collect()
}

#[test]
fn an_added_client_stands_behind_its_banks_tables_and_nothing_else_moves() {
    let desk = Desk::new();
    let before = desk.body();
    let diff = desk.good(
        "add client LIST --party first-bank --id first-web --purpose \
         dpv:FraudPreventionAndDetection=login --purpose dpv:IdentityVerification=credential_reset \
         --scope sim-swap:check --scope device-swap --key first-1",
    );
    assert_eq!(lines(&diff, "-"), ["version = 7 # raised with each change"]);
    let new = "\n[[party.client]]\nid = \"first-web\"\npurposes = { \
               \"dpv:FraudPreventionAndDetection\" = \"login\", \"dpv:IdentityVerification\" = \
               \"credential_reset\" }\nscopes = [\"sim-swap:check\", \"device-swap\"]\nkeys = \
               [\"first-1\"]\n";
    let mut expected = vec!["version = 8 # raised with each change"];
    expected.extend(new.lines());
    assert_eq!(lines(&diff, "+"), expected);
    // The old signatures are gone, and the rest is to the byte as it was.
    let after = before
        .replace("version = 7", "version = 8")
        .replace("# its own\n", &format!("# its own\n{new}"));
    assert_eq!(desk.text(), after);
    let parties = Parties::check(&after).unwrap();
    let ids: Vec<_> = parties[0].clients.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["first-app", "first-web"]);
}

#[test]
fn banks_operators_and_keys_are_added_and_the_list_is_signed_again() {
    let desk = Desk::new();
    desk.good(
        "add bank LIST --id spiffe://accord.test/bank/second-bank --name Second~\"Bank\" --licence \
         B-2 --supervisor Central~Bank --from 2024-02-29 --until 2030-01-01 --kid second-1 \
         --public-key second.pub",
    );
    desk.good(
        "add operator LIST --id spiffe://accord.test/operator/sud-mobile --name Sud~Mobile \
         --licence M-2 --supervisor Telecom~Regulator --from 2024-01-01 --range +33639980 --range \
         +33639981",
    );
    desk.good("add key LIST --party second-bank --kid second-2 --public-key third.pub");
    desk.good("add key LIST --party north-mobile --kid north-1 --public-key first.pub");
    let parties = Parties::check(&desk.text()).unwrap();
    let [first, north, second, sud] = parties.as_slice() else {
        panic!("{parties:?}");
    };
    let kids = |party: &accord_proto::parties::Party| {
        let keys = party.keys.iter();
        keys.map(|key| format!("{} {}", key.kid(), key.algorithm()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kids(first), ["first-1 ES256"]);
    assert_eq!(kids(second), ["second-1 EdDSA", "second-2 ES256"]);
    assert_eq!(kids(north), ["north-1 ES256"]);
    assert_eq!(second.name, "Second \"Bank\"");
    assert_eq!(second.licence.until, Some("2030-01-01".parse().unwrap()));
    assert_eq!(sud.ranges.len(), 2);
    assert!(desk.text().contains("version = 11 #"), "{}", desk.text());
    let key = SigningKey::generate("central-bank").unwrap();
    fs::write(desk.path("cb.key"), key.to_secret_text().expose()).unwrap();
    desk.good("sign LIST --key cb.key --output signed.toml");
    let signed = fs::read_to_string(desk.path("signed.toml")).unwrap();
    let note = SignedNote::parse(&signed).unwrap();
    let signers = note.verify(&[key.verifier().clone()]).unwrap();
    assert_eq!((signers.len(), note.text()), (1, desk.text().as_str()));
}

#[test]
fn a_key_is_replaced_in_two_steps_and_clients_that_name_their_keys_follow() {
    let desk = Desk::new();
    let (code, _, error) =
        desk.run("rotate LIST --party first-bank --kid first-2 --public-key third.pub");
    assert_eq!(code, 2);
    assert!(error.contains("--beside KID"), "{error}");
    let diff = desk.good(
        "rotate LIST --party first-bank --kid first-2 --public-key third.pub --beside first-1",
    );
    assert!(
        lines(&diff, "+").contains(&"keys = [\"first-1\", \"first-2\"] # its own"),
        "{diff}"
    );
    let keys = |desk: &Desk| {
        let first = Parties::check(&desk.body()).unwrap().remove(0);
        let kids: Vec<_> = first.keys.iter().map(|key| key.kid().to_owned()).collect();
        (kids, first.clients[0].keys.clone())
    };
    let both = ["first-1", "first-2"].map(str::to_owned).to_vec();
    assert_eq!(keys(&desk), (both.clone(), both));
    let diff = desk.good("rotate LIST --party first-bank --retire first-1");
    // The comment above the key goes with it.
    assert!(
        lines(&diff, "-").contains(&"# Of the payments department."),
        "{diff}"
    );
    assert!(!desk.text().contains("\n\n\n"), "{}", desk.text());
    let new = vec!["first-2".to_owned()];
    assert_eq!(keys(&desk), (new.clone(), new));
    // Both steps at once, for a key that was stolen.
    desk.good(
        "rotate LIST --party first-bank --kid first-3 --public-key first.pub --retire first-2",
    );
    let new = vec!["first-3".to_owned()];
    assert_eq!(keys(&desk), (new.clone(), new));
    assert!(
        desk.text()
            .contains("# Serves [[party]] numbers.\n[[party]]")
    );
}

#[test]
fn what_would_be_a_mistake_is_named_and_nothing_is_written() {
    let desk = Desk::new();
    let client = "add client LIST --party first-bank --purpose dpv:Fraud=payment";
    for (args, code, words) in [
        (
            "add key LIST --party third-bank --kid k --public-key first.pub".to_owned(),
            2,
            "they are first-bank, north-mobile",
        ),
        (
            "add key LIST --party first-bank --kid first-1 --public-key third.pub".to_owned(),
            1,
            "party.keys.kid",
        ),
        (
            "add key LIST --party first-bank --kid k --public-key third.key".to_owned(),
            1,
            "is a private key",
        ),
        (
            "add key LIST --party first-bank --kid k --public-key none.pub".to_owned(),
            1,
            "no public key in PEM form",
        ),
        (
            format!("{client} --id a --scope everything"),
            1,
            "is no scope",
        ),
        (
            format!("{client} --id first-app --scope sim-swap"),
            1,
            "already",
        ),
        (
            format!("{client} --id +447700900001 --scope sim-swap"),
            1,
            "a client's name is",
        ),
        (
            format!("{client}=x --id a --scope sim-swap"),
            1,
            "no purpose of the agreement",
        ),
    ] {
        desk.refused(&args, code, words);
    }
}

#[test]
fn what_can_not_be_done_says_why_and_nothing_is_written() {
    let desk = Desk::new();
    for (args, code, words) in [
        (
            "add client LIST --party north-mobile --id a --purpose dpv:Fraud=payment --scope \
             sim-swap"
                .to_owned(),
            1,
            "belongs to banks",
        ),
        (
            "add client LIST --party first-bank --id a --purpose dpv:Fraud --scope sim-swap"
                .to_owned(),
            2,
            "behind `=`",
        ),
        (
            "rotate LIST --party first-bank --retire first-1".to_owned(),
            1,
            "`first-app` signs with the key `first-1` alone",
        ),
        (
            "rotate LIST --party first-bank --retire first-9".to_owned(),
            2,
            "its keys are first-1",
        ),
        ("rotate LIST --party first-bank".to_owned(), 2, "--retire"),
    ] {
        desk.refused(&args, code, words);
    }
}

#[test]
fn the_text_of_a_private_key_is_not_told() {
    let desk = Desk::new();
    let (_, out, error) =
        desk.run("add key LIST --party first-bank --kid k --public-key third.key");
    let secret = fs::read_to_string(desk.path("third.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!out.contains(secret) && !error.contains(secret));
}

#[test]
fn a_change_can_be_looked_at_or_go_elsewhere() {
    let desk = Desk::new();
    let before = desk.text();
    let add = "add key LIST --party first-bank --kid first-2 --public-key third.pub";
    let diff = desk.good(&format!("{add} --dry-run"));
    assert!(lines(&diff, "+").contains(&"kid = \"first-2\""), "{diff}");
    assert_eq!(desk.text(), before);
    let json = desk.good(&format!("{add} --output draft.toml --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 8);
    assert_eq!(json["signatures_removed"], 2);
    assert_eq!(desk.text(), before);
    let draft = fs::read_to_string(desk.path("draft.toml")).unwrap();
    assert_eq!(Parties::check(&draft).unwrap()[0].keys.len(), 2);
    leftover(desk.dir.path());
}

/// Nothing lies about but what was asked for.
fn leftover(dir: &Path) {
    let names = fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let odd: Vec<_> = names.filter(|name| name.ends_with(".new")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_list_shows_each_bank_with_its_clients() {
    let desk = Desk::new();
    let out = desk.good("list LIST");
    for line in [
        "first-bank\tbank\tB-1, active, from 2020-01-01\tfirst-1\tfirst-app",
        "north-mobile\toperator\tM-1, active, from 2020-01-01\t\t+447700900",
        "first-app\tfirst-bank\tdpv:FraudPreventionAndDetection = payment\tfirst-1\tsim-swap",
    ] {
        assert!(out.lines().any(|known| known == line), "{line}\n{out}");
    }
    let (_, _, note) = desk.run("list LIST");
    assert!(
        note.contains("version 7, signed by central-bank and telecom-regulator"),
        "{note}"
    );
    let json = desk.good("list LIST --json");
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["clients"][0]["scopes"][0], "sim-swap");
    assert_eq!(first["licence"]["until"], Value::Null);
}
