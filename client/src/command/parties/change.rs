//! `accord parties add` and `rotate`: a change of the list's text, shown, checked and written.

use std::path::Path;

use accord_proto::parties::{Parties, Party};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde_json::json;

use super::{
    super::{
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
    },
    args::{Add, PublicKey, Rotate, Where},
    edits::{Edits, Hunk},
    places::{KeyList, PartyPlace, Places},
    written,
};

/// Adds a bank, an operator, a client or a key.
pub(super) fn add(what: &Add, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match what {
        Add::Bank(bank) => {
            let mut text = written::party(&bank.id, &bank.name, &bank.licence);
            text.push_str(&key(&bank.key)?);
            change(&bank.place, terminal, |list, edits| {
                edits.insert(list.places.end(), text);
                Ok(())
            })
        }
        Add::Operator(operator) => {
            let mut text = written::party(&operator.id, &operator.name, &operator.licence);
            text.push_str(&written::ranges(&operator.ranges));
            change(&operator.place, terminal, |list, edits| {
                edits.insert(list.places.end(), text);
                Ok(())
            })
        }
        Add::Client(client) => {
            let text = written::client(client).ok_or_else(|| {
                let message = "a purpose of a client names the agreement's behind `=`";
                Failure::new(Exit::Usage, message)
                    .hint("such as --purpose dpv:FraudPreventionAndDetection=payment")
            })?;
            change(&client.place, terminal, |list, edits| {
                let end = list.party(&client.party)?.end;
                edits.insert(end, text);
                Ok(())
            })
        }
        Add::Key(added) => {
            let text = key(&added.key)?;
            change(&added.place, terminal, |list, edits| {
                let end = end_of_keys(list.party(&added.party)?);
                edits.insert(end, text);
                Ok(())
            })
        }
    }
}

/// Adds a key beside an old one, or ends the old one, or both.
pub(super) fn rotate(args: &Rotate, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let new = match (&args.kid, &args.public_key) {
        (Some(kid), Some(public_key)) => Some(PublicKey {
            kid: kid.clone(),
            public_key: public_key.clone(),
        }),
        (Some(_) | None, _) => None,
    };
    let text = new.as_ref().map(key).transpose()?;
    let new = new.map(|new| new.kid);
    change(&args.place, terminal, |list, edits| {
        let party = list.party(&args.party)?;
        if let Some(text) = text {
            edits.insert(end_of_keys(party), text);
        }
        let old = args.beside.as_ref().or(args.retire.as_ref());
        if let (Some(new), false) = (&new, party.key_lists.is_empty()) {
            let old = old.ok_or_else(|| {
                let message = "clients of this party name their keys";
                Failure::new(Exit::Usage, message)
                    .hint("say with --beside KID which key the new one is to replace")
            })?;
            for keys in party.key_lists.iter().filter(|keys| keys.names(old)) {
                let retired = args.retire.as_ref() == Some(old);
                join(edits, keys, new, retired.then_some(old));
            }
        }
        match &args.retire {
            Some(old) => retire(edits, party, old, new.is_some()),
            None => Ok(()),
        }
    })
}

/// Lets a client sign with a new key too; `instead` is one that is retired at the same time.
fn join(edits: &mut Edits<'_>, keys: &KeyList, new: &str, instead: Option<&String>) {
    match instead.and_then(|old| keys.only(old)) {
        Some(place) => edits.replace(place, written::quoted(new)),
        None => {
            if let Some(end) = keys.end() {
                edits.insert(end, format!(", {}", written::quoted(new)));
            }
        }
    }
}

/// Takes a key out of the list. `replaced`: clients that had no other have a new one already.
fn retire(
    edits: &mut Edits<'_>,
    party: &PartyPlace,
    kid: &str,
    replaced: bool,
) -> Result<(), Failure> {
    let key = party.keys.iter().find(|key| key.kid == kid);
    let key = key.ok_or_else(|| {
        let known: Vec<_> = party.keys.iter().map(|key| key.kid.as_str()).collect();
        Failure::new(Exit::Usage, format!("this party has no key `{kid}`"))
            .hint(&format!("its keys are {}", known.join(", ")))
    })?;
    let table = key.table.clone().ok_or_else(|| {
        let message = format!("the key `{kid}` stands within a line, and not as `[[party.keys]]`");
        Failure::new(Exit::Failure, message).hint("take it out by hand")
    })?;
    edits.replace(table, "");
    for keys in party.key_lists.iter().filter(|keys| keys.names(kid)) {
        match keys.part_of(kid) {
            Some(part) => edits.replace(part, ""),
            None if replaced => {}
            None => {
                let client = &keys.client;
                let message = format!("the client `{client}` signs with the key `{kid}` alone");
                let hint = "name a new key in the same command: --kid NEW --public-key FILE";
                return Err(Failure::new(Exit::Failure, message).hint(hint));
            }
        }
    }
    Ok(())
}

/// Behind a party's keys; where it has none, behind all that it has.
fn end_of_keys(party: &PartyPlace) -> usize {
    party.keys.last().map_or(party.end, |key| key.end)
}

/// The table of a key. Its file is read here, before anything of it could be shown or written.
fn key(key: &PublicKey) -> Result<String, Failure> {
    let file = &key.public_key;
    let refused = |rule: &str| {
        let message = format!("`{}` {rule}", file.display());
        Failure::new(Exit::Failure, message)
            .hint("`openssl pkey -in token.key -pubout` prints the public half of a key")
    };
    let pem = signing::read(file)?;
    if pem.contains("PRIVATE KEY") {
        return Err(refused(
            "is a private key, and the list of parties is published: give the public half",
        ));
    }
    let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes());
    let spki = spki.map_err(|_| refused("has no public key in PEM form"))?;
    // Each kind has one length (RFC 8410 section 4, RFC 5480 section 2). Whether it is a key at all,
    // the parser of the list says.
    let algorithm = match spki.as_ref().len() {
        44 => "EdDSA",
        91 => "ES256",
        _ => return Err(refused("is neither a P-256 key nor an Ed25519 key")),
    };
    Ok(written::key(&key.kid, algorithm, &spki))
}

/// A list that is being changed.
struct List<'t> {
    parties: Vec<Party>,
    places: Places<'t>,
}

impl List<'_> {
    /// Where a party stands, by its organisation or its whole id.
    fn party(&self, name: &str) -> Result<&PartyPlace, Failure> {
        let named = |party: &Party| party.id.org().as_str() == name || party.id.to_string() == name;
        let mut found = self.parties.iter().zip(&self.places.parties);
        let mut found = found.by_ref().filter(|(party, _)| named(party));
        let (first, other) = (found.next(), found.next());
        match (first, other) {
            (Some((_, place)), None) => Ok(place),
            (Some((one, _)), Some((other, _))) => {
                let message = format!("`{name}` is both `{}` and `{}`", one.id, other.id);
                Err(Failure::new(Exit::Usage, message).hint("give the whole id"))
            }
            (None, _) => {
                let known: Vec<_> = self.parties.iter().map(|p| p.id.org().as_str()).collect();
                let message = format!("there is no party `{name}` on this list");
                let known = format!("they are {}", known.join(", "));
                Err(Failure::new(Exit::Usage, message).hint(&known))
            }
        }
    }
}

/// Makes a change, raises the version, shows what is different, and writes it if the broker's own
/// parser takes it.
fn change(
    place: &Where,
    terminal: &mut Terminal,
    make: impl FnOnce(&List<'_>, &mut Edits<'_>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let note = signing::note(&place.file)?;
    let text = note.text();
    let parties = match Parties::check(text) {
        Ok(parties) => parties,
        Err(mistakes) => return signing::report(&place.file, &mistakes, terminal),
    };
    let (places, version) = find(text, &place.file)?;
    let mut edits = Edits::of(text);
    edits.replace(places.version.clone(), (version + 1).to_string());
    make(&List { parties, places }, &mut edits)?;
    let (changed, hunks) = (edits.apply(), edits.hunks());
    let to = place.output.as_deref().unwrap_or(&place.file);
    show(&hunks, terminal)?;
    if let Err(mistakes) = Parties::check(&changed) {
        terminal.note("nothing is written; the changed list would have mistakes, by its lines:");
        return signing::report(to, &mistakes, terminal);
    }
    let written = !place.dry_run;
    if written {
        signing::write_whole(to, &changed)?;
    }
    let signatures = note.signatures().len();
    told(to, version + 1, signatures, written, &hunks, terminal)
}

/// Where everything stands, and the version.
fn find<'t>(text: &'t str, file: &Path) -> Result<(Places<'t>, u64), Failure> {
    let found = Places::find(text).and_then(|places| {
        let version = text.get(places.version.clone())?.replace('_', "");
        let version: u64 = version.parse().ok()?;
        // The next one is a number of TOML too.
        (version < i64::MAX.unsigned_abs()).then_some((places, version))
    });
    found.ok_or_else(|| {
        let message = format!(
            "`{}` can't be changed by this command: a party stands within a line and not as \
             `[[party]]`, or the version can't be raised",
            file.display()
        );
        Failure::new(Exit::Failure, message).hint("change it by hand")
    })
}

fn show(hunks: &[Hunk], terminal: &mut Terminal) -> Result<(), Failure> {
    if terminal.is_json() {
        return Ok(());
    }
    for hunk in hunks {
        terminal.line(&format!("@@ line {} @@", hunk.line))?;
        for line in &hunk.old {
            terminal.line(&format!("-{line}"))?;
        }
        for line in &hunk.new {
            terminal.line(&format!("+{line}"))?;
        }
    }
    Ok(())
}

fn told(
    to: &Path,
    version: u64,
    signatures: usize,
    written: bool,
    hunks: &[Hunk],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if terminal.is_json() {
        let changes: Vec<_> = hunks
            .iter()
            .map(|hunk| json!({"line": hunk.line, "old": hunk.old, "new": hunk.new}))
            .collect();
        terminal.json(&json!({
            "file": to.display().to_string(),
            "version": version,
            "written": written,
            "signatures_removed": signatures,
            "changes": changes,
        }))?;
        return Ok(Exit::Ok);
    }
    let file = to.display();
    if !written {
        terminal.note("nothing is written (--dry-run)");
        return Ok(Exit::Ok);
    }
    terminal.note(&format!(
        "`{file}` is version {version} now, and unsigned ({signatures} signatures were removed): \
         `accord parties sign {file} --key KEYFILE`, as the central bank for banks and as the telecom \
         regulator for operators"
    ));
    Ok(Exit::Ok)
}
