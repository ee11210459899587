//! What an authority does to the agreement: its act is made here, signed with its own key, and sent
//! with its own certificate.

use std::path::Path;

use accord_proto::{
    agreement::{Act, AgreementDocument, Target, Verb},
    c2sp::{SignedNote, SigningKey},
    clock::SystemClock,
    document::text_sha256,
    v1::{ProposedDocument, agreement_act::Kind},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    super::{
        args::Whom,
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
        whom,
    },
    args::Author,
    diff, signs,
};
use crate::{
    ActTaken, AgreementHistory, Auditor,
    profile::{PartySection, ProfileRole},
    random::{self, hex},
};

/// The fewest digits of a SHA-256 that name a document.
const HASH_DIGITS_MIN: usize = 8;

/// An authority that is about to act.
struct Desk {
    auditor: Auditor,
    key: SigningKey,
    /// The ledger's name, without the month.
    log: String,
}

/// The document that an act is about.
struct Subject {
    agreement: String,
    version: u64,
    sha256: [u8; 32],
}

impl Subject {
    fn of(note: &SignedNote) -> Result<Self, Failure> {
        let document = AgreementDocument::parse(note.text()).map_err(|error| {
            Failure::new(Exit::Failure, "the agreement has mistakes").because(&error)
        })?;
        Ok(Self {
            agreement: document.id().to_owned(),
            version: document.version(),
            sha256: text_sha256(note.text()),
        })
    }
}

impl Desk {
    /// The key says which authority acts; its certificate is that of the same name.
    async fn open(
        whom: &Whom,
        key: &Path,
        what: &str,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let key = signing::signing_key(key)?;
        let profile = whom::profile(whom)?;
        let party = match &whom.party {
            Some(_) => whom::party(&profile, whom, &[ProfileRole::Authority])?,
            None => profile.profile.party(key.verifier().name())?,
        };
        check_role(party)?;
        whom::announce(terminal, party, what);
        let auditor = profile.auditor(party)?;
        let origin = auditor.checkpoint("").await?.checkpoint.origin;
        let log = origin.rsplit_once('/').map_or(&*origin, |(log, _)| log);
        Ok(Self {
            log: log.to_owned(),
            auditor,
            key,
        })
    }

    /// What is in force.
    async fn governing(&self) -> Result<Subject, Failure> {
        Subject::of(&parse(&self.auditor.agreement().await?.note)?)
    }

    async fn act(
        &self,
        verb: Verb,
        target: Option<&Target>,
        reason: &str,
        subject: Subject,
        document: &str,
    ) -> Result<ActTaken, Failure> {
        let now = SystemClock::shared().now();
        let act = Act {
            verb,
            target: target.cloned(),
            agreement: subject.agreement,
            version: subject.version,
            sha256: subject.sha256,
            log: self.log.clone(),
            // Nobody needs it finer, and people read it.
            time: Timestamp::from_second(now.as_second()).unwrap_or(now),
            nonce: random::bytes(),
            reason: reason.trim().to_owned(),
        };
        let note = act
            .sign(&self.key)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        Ok(self.auditor.act(&note, document).await?)
    }

    fn name(&self) -> &str {
        self.key.verifier().name()
    }
}

fn check_role(party: &PartySection) -> Result<(), Failure> {
    if party.role == ProfileRole::Authority {
        return Ok(());
    }
    let (name, role) = (&party.name, party.role.name());
    Err(Failure::new(
        Exit::Usage,
        format!(
            "`{name}` is a party of role {role}; only the two authorities act on the agreement"
        ),
    ))
}

fn parse(note: &str) -> Result<SignedNote, Failure> {
    SignedNote::parse(note)
        .map_err(|error| Failure::new(Exit::Failure, "the agreement is not signed").because(&error))
}

/// Signs a file and proposes it.
pub(super) async fn propose(
    whom: &Whom,
    file: &Path,
    author: &Author,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let mut note = signing::note(file)?;
    let document = match AgreementDocument::parse(note.text()) {
        Ok(document) => document,
        Err(mistakes) => return signing::report(file, &mistakes, terminal),
    };
    let desk = Desk::open(whom, &author.key, "a proposal", terminal).await?;
    signs(&document, desk.name())?;
    sign_note(&mut note, &desk.key)?;
    let subject = Subject::of(&note)?;
    let sha256 = hex(&subject.sha256);
    diff::against_current(&desk.auditor, &document, terminal).await?;
    let document = note.to_string();
    let taken = desk
        .act(Verb::Propose, None, "", subject, &document)
        .await?;
    let short = sha256.get(..16).unwrap_or_default();
    let next =
        format!("the other authority signs it: accord agreement sign --hash {short} --key …");
    told(
        &taken,
        &format!("proposed, sha256 {sha256}"),
        &next,
        terminal,
    )
}

/// Signs what the other authority proposed.
pub(super) async fn sign(
    whom: &Whom,
    hash: &str,
    key: &Path,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open(whom, key, "a signature", terminal).await?;
    let history = desk.auditor.agreement_history().await?;
    let proposed = named(&history, hash)?;
    let text = desk.auditor.agreement_document(&proposed.sha256).await?;
    let mut note = parse(&text)?;
    let subject = Subject::of(&note)?;
    if subject.sha256.as_slice() != proposed.sha256 {
        return Err(Failure::new(
            Exit::Failure,
            "the broker sent another document than the one named; nothing was signed",
        ));
    }
    let document = AgreementDocument::parse(note.text()).map_err(|error| {
        Failure::new(Exit::Failure, "the agreement has mistakes").because(&error)
    })?;
    signs(&document, desk.name())?;
    diff::against_current(&desk.auditor, &document, terminal).await?;
    sign_note(&mut note, &desk.key)?;
    let what = format!("signed {} version {}", document.id(), document.version());
    let document = note.to_string();
    let taken = desk.act(Verb::Sign, None, "", subject, &document).await?;
    let next = "either authority activates it: accord agreement activate --key …";
    told(&taken, &what, next, terminal)
}

/// Activates what both signed.
pub(super) async fn activate(
    whom: &Whom,
    hash: Option<&str>,
    author: &Author,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open(whom, &author.key, "an activation", terminal).await?;
    let history = desk.auditor.agreement_history().await?;
    let proposed = match hash {
        Some(hash) => named(&history, hash)?,
        None => only_signed(&history)?,
    };
    let text = desk.auditor.agreement_document(&proposed.sha256).await?;
    let subject = Subject::of(&parse(&text)?)?;
    let what = format!(
        "activated {} version {}",
        proposed.agreement, proposed.version
    );
    let taken = desk.act(Verb::Activate, None, "", subject, "").await?;
    let next = "it takes effect on its first day, or within a second where that has come";
    told(&taken, &what, next, terminal)
}

/// Suspends a target.
pub(super) async fn suspend(
    whom: &Whom,
    target: &Target,
    reason: &str,
    author: &Author,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open(whom, &author.key, "a suspension", terminal).await?;
    let subject = desk.governing().await?;
    let taken = desk
        .act(Verb::Suspend, Some(target), reason, subject, "")
        .await?;
    let what = format!("suspended {target}");
    let next = match target {
        Target::All => "nothing is answered from here on".to_owned(),
        Target::Bank(bank) => format!("whatever {bank} asks is refused from here on"),
        Target::Operator(operator) => {
            format!("whatever is asked of {operator} is `suspended` from here on")
        }
        Target::Signal(signal) => format!("{signal} is told to nobody from here on"),
    };
    let next = format!("{next}; lifting it takes both authorities");
    told(&taken, &what, &next, terminal)
}

/// Lifts a suspension, or asks for it.
pub(super) async fn lift(
    whom: &Whom,
    target: &Target,
    reason: &str,
    author: &Author,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open(whom, &author.key, "the end of a suspension", terminal).await?;
    let subject = desk.governing().await?;
    let taken = desk
        .act(Verb::Lift, Some(target), reason, subject, "")
        .await?;
    if taken.kind == Kind::LiftAsked {
        let what = format!("asked to lift {target}, which stays suspended");
        let next =
            format!("the other authority does the same: accord agreement lift {target} --key …");
        return told(&taken, &what, &next, terminal);
    }
    told(&taken, &format!("lifted {target}"), "", terminal)
}

/// Ends the agreement in force, or asks for it.
pub(super) async fn end(
    whom: &Whom,
    reason: &str,
    author: &Author,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open(whom, &author.key, "the end of the agreement", terminal).await?;
    let subject = desk.governing().await?;
    let named = format!("{} version {}", subject.agreement, subject.version);
    let taken = desk.act(Verb::End, None, reason, subject, "").await?;
    if taken.kind == Kind::EndAsked {
        let what = format!("asked to end {named}, which stays in force");
        let next = "the other authority does the same: accord agreement end --key …";
        return told(&taken, &what, next, terminal);
    }
    let next = "nothing is answered until a newer version takes effect";
    told(&taken, &format!("ended {named}"), next, terminal)
}

fn sign_note(note: &mut SignedNote, key: &SigningKey) -> Result<(), Failure> {
    note.sign(key)
        .map_err(|error| Failure::new(Exit::Failure, "can't sign").because(&error))
}

/// The only proposal whose SHA-256 begins so.
fn named<'a>(history: &'a AgreementHistory, hash: &str) -> Result<&'a ProposedDocument, Failure> {
    if hash.len() < HASH_DIGITS_MIN {
        let message = format!("--hash takes {HASH_DIGITS_MIN} digits of the SHA-256 or more");
        return Err(Failure::new(Exit::Usage, message));
    }
    let hash = hash.to_ascii_lowercase();
    let begins = |one: &&ProposedDocument| hex(&one.sha256).starts_with(&hash);
    one_of(history.proposed.iter().filter(begins), "of this SHA-256")
}

fn only_signed(history: &AgreementHistory) -> Result<&ProposedDocument, Failure> {
    let signed = history
        .proposed
        .iter()
        .filter(|one| one.signed_by.len() == 2);
    one_of(signed, "that both authorities signed")
}

fn one_of<'a>(
    mut found: impl Iterator<Item = &'a ProposedDocument>,
    which: &str,
) -> Result<&'a ProposedDocument, Failure> {
    let hint = "what is proposed: accord agreement history";
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let message = format!("no document {which} is proposed");
            Err(Failure::new(Exit::Failure, message).hint(hint))
        }
        (Some(_), Some(_)) => {
            let message = format!("several documents {which} are proposed; name one with --hash");
            Err(Failure::new(Exit::Failure, message).hint(hint))
        }
    }
}

fn told(
    taken: &ActTaken,
    what: &str,
    next: &str,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if terminal.is_json() {
        let kind = taken.kind.as_str_name().to_ascii_lowercase();
        terminal.json(&json!({
            "act": kind.strip_prefix("kind_").unwrap_or(&kind),
            "origin": taken.origin,
            "index": taken.index,
        }))?;
        return Ok(Exit::Ok);
    }
    terminal.line(&format!(
        "{what}; on the record as entry {} of {}",
        taken.index, taken.origin
    ))?;
    if !next.is_empty() {
        terminal.line(next)?;
    }
    Ok(Exit::Ok)
}
