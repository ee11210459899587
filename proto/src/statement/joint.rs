//! Whether both authorities signed a statement.

use super::{Statement, text::parse_joint};
use crate::{document::Authorities, wire::FieldError};

impl Statement {
    /// Whether the statement is joint: both authorities signed its very text, for this ledger (its
    /// name, without a month). `false` where it has no note.
    ///
    /// # Errors
    /// `statement.joint`: the note is none, signs another text, is for another ledger, or lacks a
    /// signature.
    pub fn is_joint(&self, authorities: &Authorities, ledger: &str) -> Result<bool, FieldError> {
        let Some(joint) = &self.joint else {
            return Ok(false);
        };
        let wrong = |rule: String| FieldError::new("statement.joint", rule);
        let signed = parse_joint(joint).map_err(|error| wrong(error.to_string()))?;
        let (named, note) = (&signed.ledger, &signed.note);
        if named != ledger {
            let rule = format!("was signed for the ledger `{named}`, and this is `{ledger}`");
            return Err(wrong(rule));
        }
        if signed.statement.text(ledger) != self.text(ledger) {
            let rule = "signs another statement than the one that it came with";
            return Err(wrong(rule.to_owned()));
        }
        let keys = [authorities.telecom_regulator(), authorities.central_bank()];
        let signers = note
            .verify(&keys.map(Clone::clone))
            .map_err(|error| wrong(error.to_string()))?;
        for key in keys {
            if !signers.iter().any(|name| name == key.name()) {
                return Err(wrong(format!("lacks the signature of `{}`", key.name())));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        c2sp::{SignedNote, SigningKey},
        statement::tests::good,
    };

    use super::*;

    const LEDGER: &str = "accord.test";

    fn statement() -> Statement {
        Statement::of(&good()).unwrap()
    }

    fn signed(text: &str, keys: &[&SigningKey]) -> Statement {
        let mut note = SignedNote::unsigned(text).unwrap();
        for key in keys {
            note.sign(key).unwrap();
        }
        statement().with_joint(&note)
    }

    #[test]
    fn both_authorities_sign_the_very_text() {
        let telecom = SigningKey::generate("telecom-regulator").unwrap();
        let bank = SigningKey::generate("central-bank").unwrap();
        let stranger = SigningKey::generate("central-bank").unwrap();
        let known = Authorities::new(telecom.verifier().clone(), bank.verifier().clone()).unwrap();
        let text = statement().text(LEDGER);
        let other = text.replace("oversight", "curiosity");
        assert_eq!(statement().is_joint(&known, LEDGER), Ok(false));
        let both = signed(&text, &[&telecom, &bank]);
        assert_eq!(both.is_joint(&known, LEDGER), Ok(true));
        // At another broker with the same authorities it means nothing.
        let elsewhere = both.is_joint(&known, "accord.elsewhere").unwrap_err();
        assert!(elsewhere.rule.contains("for the ledger `accord.test`"));
        for (joint, says) in [
            (
                signed(&text, &[&telecom]),
                "lacks the signature of `central-bank`",
            ),
            (
                signed(&text, &[&telecom, &stranger]),
                "lacks the signature of `central-bank`",
            ),
            (
                signed(&text, &[&bank]),
                "lacks the signature of `telecom-regulator`",
            ),
            (
                signed(&other, &[&telecom, &bank]),
                "signs another statement",
            ),
            (signed("x\n", &[&telecom, &bank]), "line 1"),
        ] {
            let error = joint.is_joint(&known, LEDGER).unwrap_err();
            assert_eq!(error.field, "statement.joint");
            assert!(error.rule.contains(says), "{error}");
        }
        // The text was changed after it was signed.
        let note = signed(&text, &[&telecom, &bank]).joint.unwrap();
        let forged = note.replace("oversight", "curiosity");
        let forged = parse_joint(&forged).unwrap().statement;
        assert!(
            forged
                .is_joint(&known, LEDGER)
                .unwrap_err()
                .rule
                .contains("does not match")
        );
    }
}
