//! Reads a policy, line by line.

use super::{
    Group, POLICY_BYTES_MAX, POLICY_NAMES_MAX, Policy, PolicyError, PolicyLog, PolicyWitness,
};
use crate::c2sp::cosignature::CosignerKey;
use crate::c2sp::key::{KeyError, VerifierKey};

/// What no witness or group may be called: `quorum none` asks for no cosignature.
const NONE: &str = "none";

pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLong);
    }
    let mut reader = Reader::default();
    for (line, number) in text.lines().zip(1..) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        reader.line = number;
        match words.as_slice() {
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            ["log", rest @ ..] => reader.log(rest)?,
            ["witness", rest @ ..] => reader.witness(rest)?,
            ["group", rest @ ..] => reader.group(rest)?,
            ["quorum", rest @ ..] => reader.quorum(rest)?,
            [_, ..] => return Err(reader.wrong("`log`, `witness`, `group` or `quorum`")),
        }
    }
    if !reader.has_quorum {
        return Err(PolicyError::NoQuorum);
    }
    Ok(reader.policy)
}

#[derive(Default)]
struct Reader {
    policy: Policy,
    has_quorum: bool,
    line: usize,
}

impl Reader {
    fn log(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let (key, url) = match words {
            [key] => (key, None),
            [key, url] => (key, Some((*url).to_owned())),
            _ => return Err(self.wrong("`log KEY [URL]`")),
        };
        let key = VerifierKey::parse(key).map_err(|source| self.bad_key(source))?;
        if self.policy.logs.iter().any(|log| log.key == key) {
            return Err(self.bad_name(key.name(), "is given twice"));
        }
        if self.policy.logs.len() >= POLICY_NAMES_MAX {
            return Err(PolicyError::TooLong);
        }
        self.policy.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn witness(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let (name, key, url) = match words {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some((*url).to_owned())),
            _ => return Err(self.wrong("`witness NAME KEY [URL]`")),
        };
        let key = CosignerKey::parse(key).map_err(|source| self.bad_key(source))?;
        self.check_new(name)?;
        // One witness under two names would count twice, and its cosignature does not name it.
        if self
            .policy
            .witnesses
            .iter()
            .any(|one| one.key.is_same(&key))
        {
            return Err(self.bad_name(name, "has the key of another witness"));
        }
        let name = (*name).to_owned();
        self.policy.witnesses.push(PolicyWitness { name, key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let [name, needed, members @ ..] = words else {
            return Err(self.wrong("`group NAME NUMBER|any|all MEMBER…`"));
        };
        self.check_new(name)?;
        let mut known: Vec<String> = Vec::new();
        for member in members {
            if !self.is_known(member) {
                return Err(self.bad_name(member, "is not defined above"));
            }
            if known.iter().any(|other| other == member) {
                return Err(self.bad_name(member, "is given twice"));
            }
            known.push((*member).to_owned());
        }
        let needed = match *needed {
            "any" => 1,
            "all" => known.len(),
            // One spelling: no sign, no zero in front.
            number => number
                .parse()
                .ok()
                .filter(|needed: &usize| needed.to_string() == number)
                .unwrap_or(0),
        };
        if needed == 0 || needed > known.len() {
            return Err(self.wrong("a group of `any`, `all`, or 1 to as many as its members"));
        }
        let group = Group {
            needed,
            members: known,
        };
        self.policy.groups.insert((*name).to_owned(), group);
        Ok(())
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), PolicyError> {
        let [name] = words else {
            return Err(self.wrong("`quorum NAME` or `quorum none`"));
        };
        if self.has_quorum {
            return Err(self.wrong("the only `quorum`"));
        }
        if *name != NONE && !self.is_known(name) {
            return Err(self.bad_name(name, "is not defined above"));
        }
        self.has_quorum = true;
        self.policy.quorum = (*name != NONE).then(|| (*name).to_owned());
        Ok(())
    }

    fn is_known(&self, name: &str) -> bool {
        let witnesses = &self.policy.witnesses;
        self.policy.groups.contains_key(name) || witnesses.iter().any(|one| one.name == name)
    }

    fn check_new(&self, name: &str) -> Result<(), PolicyError> {
        if name == NONE {
            return Err(self.bad_name(name, "is no name: it stands for no cosignature"));
        }
        if self.is_known(name) {
            return Err(self.bad_name(name, "is given twice"));
        }
        let Policy {
            witnesses, groups, ..
        } = &self.policy;
        if witnesses.len() >= POLICY_NAMES_MAX || groups.len() >= POLICY_NAMES_MAX {
            return Err(PolicyError::TooLong);
        }
        Ok(())
    }

    const fn wrong(&self, expected: &'static str) -> PolicyError {
        let line = self.line;
        PolicyError::Line { line, expected }
    }

    const fn bad_key(&self, source: KeyError) -> PolicyError {
        let line = self.line;
        PolicyError::Key { line, source }
    }

    fn bad_name(&self, name: &str, rule: &'static str) -> PolicyError {
        PolicyError::Name {
            line: self.line,
            name: name.to_owned(),
            rule,
        }
    }
}
