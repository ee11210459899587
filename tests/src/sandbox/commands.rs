//! What a person may try next, as commands to be pasted.

use accord_client::Answered;

use super::{
    SandboxError,
    home::MIRROR_DIR,
    page::Page,
    paste::{dir_flag, profile_flag, word},
    table::Screen,
};
use crate::world::{
    CENTRAL_BANK, NORTH_PREFIX, OPEN_GATEWAY_BANK, OPEN_GATEWAY_CLIENT, POLICY_FILE,
    TELECOM_REGULATOR,
};

/// A SIM that was replaced two hours ago: the number that most printed commands ask about.
const SWAPPED: u16 = 1;
/// A number with a new holder.
const RECYCLED: u16 = 7;
/// A number that was attacked by signalling.
const ATTACKED: u16 = 35;
/// A number that the sandbox itself does not ask about.
const UNASKED: u16 = 100;
/// What a person should know who asks something else.
const QUOTAS: &str = "\
Quotas bind a bank for 24 hours: one window and one date for each number, moments only one after \
the other, and of some clauses one question a day. What was asked above has used them; so ask with \
the same window, date and moment, or about a number that was not asked, such as +447700900100 to +447700900999.";

impl Page<'_> {
    pub(super) fn commands(&self, screen: &mut Screen) -> Result<(), SandboxError> {
        let online = [self.online().as_slice(), &self.mirror(), &self.acts()].concat();
        let online = [online, self.camara(), self.closed_month()].concat();
        let offline = self.offline();
        if self.serves {
            screen.heading("Try, in another terminal:")?;
            screen.commands(&[online, offline.to_vec()].concat())?;
            screen.line("")?;
            screen.paragraph(QUOTAS, 0)?;
            screen.line("")?;
            return Ok(screen.heading("Serving until Ctrl-C.")?);
        }
        screen.heading("Try:")?;
        screen.commands(&offline)?;
        screen.heading("Try while `cargo sandbox` runs, without --once:")?;
        screen.commands(&online)?;
        Ok(screen.paragraph(QUOTAS, 0)?)
    }

    /// Commands that need the broker. What they ask fits what was asked above, or is about a
    /// number that was not asked: quotas bind, and each of these is to bring an answer.
    fn online(&self) -> [(String, &'static str); 15] {
        let flag = profile_flag(self.world.files.dir());
        let (since, moment) = (self.asked.since, self.asked.moment);
        let number = |digits: u16| format!("{NORTH_PREFIX}{digits:03}");
        let (swapped, recycled, unasked) = (number(SWAPPED), number(RECYCLED), number(UNASKED));
        let attacked = number(ATTACKED);
        let numbers = word(self.numbers);
        let dir = self.world.files.dir();
        let proof = word(&dir.join("payment.tlog-proof"));
        let policy = word(&dir.join(POLICY_FILE));
        let entry = self
            .entry_of(SWAPPED)
            .map_or(1, |answered| answered.receipt.index);
        [
            (
                format!("lookup {swapped} --purpose payment"),
                "one question, its receipt",
            ),
            (
                format!("lookup {recycled} --purpose payment --since {since}"),
                "has the holder changed?",
            ),
            (
                format!(
                    "lookup {attacked} --purpose payment --signal signalling_anomaly \
                     --since {moment}"
                ),
                "did an attack pass the firewall?",
            ),
            (
                format!("lookup {swapped} --purpose payment --as second-bank"),
                "another bank is told less",
            ),
            (
                format!("lookup {unasked} --since {since} --as second-bank"),
                "once a day for each number",
            ),
            (
                format!("screen {numbers} --purpose login"),
                "many, on one stream",
            ),
            (format!("audit show {entry}"), "what is kept of a question"),
            (
                format!("audit prove {entry} --as first-bank -o {proof}"),
                "a proof in hand",
            ),
            (
                format!("audit verify-proof {proof} --policy {policy}"),
                "holds without the broker",
            ),
            ("audit tail".to_owned(), "entries, as they come"),
            (
                "audit query --outcome unanswered --limit 5".to_owned(),
                "whatever is searched for",
            ),
            ("audit report".to_owned(), "are all banks served alike?"),
            (
                format!("audit subject {swapped}"),
                "who asked about one number",
            ),
            ("audit months".to_owned(), "who has the months' keys"),
            ("agreement status".to_owned(), "what is in force"),
        ]
        .map(|(command, what)| (format!("cargo accord {command}{flag}"), what))
    }

    /// A mirror of the ledger, which then needs no broker.
    fn mirror(&self) -> [(String, &'static str); 3] {
        let dir = self.world.files.dir();
        let (flag, mirror) = (profile_flag(dir), word(&dir.join(MIRROR_DIR)));
        let policy = word(&dir.join(POLICY_FILE));
        let proof = word(&dir.join("mirror.tlog-proof"));
        [
            (
                format!("audit mirror {mirror} --once --policy {policy}"),
                "an authority's own copy",
            ),
            (
                format!("audit verify --dir {mirror}"),
                "whole, with the broker gone",
            ),
            (
                format!("audit prove 1 --dir {mirror} -o {proof}"),
                "a proof from the copy",
            ),
        ]
        .map(|(command, what)| (format!("cargo accord {command}{flag}"), what))
    }

    /// What the authorities do: what one of them suspends, both lift.
    fn acts(&self) -> [(String, &'static str); 4] {
        let dir = self.world.files.dir();
        let flag = profile_flag(dir);
        let key = |name: &str| word(&dir.join(format!("authorities/{name}.key")));
        let (central, telecom) = (key(CENTRAL_BANK), key(TELECOM_REGULATOR));
        let target = "bank:second-bank";
        [
            (
                format!("suspend {target} --reason drill --key {central}"),
                "what it asks is refused at once",
            ),
            (
                format!("lift {target} --key {central}"),
                "one alone can't lift: still refused",
            ),
            (
                format!("lift {target} --key {telecom}"),
                "both can: answered again",
            ),
            ("history".to_owned(), "who did what, each signature checked"),
        ]
        .map(|(command, what)| (format!("cargo accord agreement {command}{flag}"), what))
    }

    /// What a bank does that calls CAMARA APIs.
    fn camara(&self) -> Vec<(String, &'static str)> {
        let files = &self.world.files;
        let Some(url) = files.camara_url() else {
            return Vec::new();
        };
        let dir = files.dir();
        let pem = |name: &str| word(&dir.join(format!("pki/{name}")));
        let body = format!("{{\"phoneNumber\":\"{NORTH_PREFIX}{SWAPPED:03}\"}}");
        vec![
            (
                format!(
                    "cargo accord token --client {OPEN_GATEWAY_CLIENT} --scope \
                     'dpv:FraudPreventionAndDetection sim-swap' --as {OPEN_GATEWAY_BANK}{}",
                    profile_flag(dir)
                ),
                "a token, TOKEN",
            ),
            (
                format!(
                    "curl --cacert {} --cert {} --key {} -H \"authorization: Bearer $TOKEN\" --json \
                     '{body}' {url}/sim-swap/v2/check",
                    pem("ca.pem"),
                    pem(&format!("{OPEN_GATEWAY_BANK}.pem")),
                    pem(&format!("{OPEN_GATEWAY_BANK}.key")),
                ),
                "the same question, as CAMARA has it",
            ),
        ]
    }

    /// Commands that need only the files.
    fn offline(&self) -> [(String, &'static str); 3] {
        let dir = self.world.files.dir();
        let agreement = self.world.files.agreement_path();
        [
            (
                format!("cargo accord audit verify{}", profile_flag(dir)),
                "hashes the whole ledger again",
            ),
            (
                format!("cargo sandbox flip-a-byte{}", dir_flag(dir)),
                "damages a copy; the entry is named",
            ),
            (
                format!("cargo accord agreement check {}", word(&agreement)),
                "who may ask what",
            ),
        ]
    }

    /// What the first bank was told of a number of the north operator.
    fn entry_of(&self, digits: u16) -> Option<&Answered> {
        let mut told = self.asked.first.north.iter();
        told.find(|told| told.digits == digits)?
            .result
            .as_ref()
            .ok()
    }
}
