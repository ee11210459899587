//! From an MSISDN to the way in which the source writes it, and back.

use accord_proto::msisdn::Msisdn;

use super::config::{NumberForm, SqlNumber};

impl SqlNumber {
    /// The rule that the section breaks, if it does.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match self.form {
            NumberForm::National if self.country_code.is_empty() => {
                Err("`national` needs a `country_code`")
            }
            NumberForm::National | NumberForm::International | NumberForm::Plus
                if !digits(&self.country_code) || !digits(&self.national_prefix) =>
            {
                Err("`country_code` and `national_prefix` have digits only")
            }
            NumberForm::National | NumberForm::International | NumberForm::Plus => Ok(()),
        }
    }

    /// As the source writes it. `None`: it can't, since the number is of another country.
    pub(super) fn write(&self, msisdn: &Msisdn) -> Option<String> {
        match self.form {
            NumberForm::Plus => Some(msisdn.expose().to_owned()),
            NumberForm::International => Some(msisdn.expose_digits().to_owned()),
            NumberForm::National => {
                let rest = msisdn.expose_digits().strip_prefix(&self.country_code)?;
                Some(format!("{}{rest}", self.national_prefix))
            }
        }
    }

    /// What the source means. `None`: no number of this form.
    pub(super) fn read(&self, text: &str) -> Option<Msisdn> {
        let text = text.trim_end();
        let e164 = match self.form {
            NumberForm::Plus => text.to_owned(),
            NumberForm::International => format!("+{text}"),
            NumberForm::National => {
                let rest = text.strip_prefix(&self.national_prefix)?;
                format!("+{}{rest}", self.country_code)
            }
        };
        Msisdn::parse(&e164).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(form: NumberForm) -> SqlNumber {
        SqlNumber {
            form,
            country_code: "44".to_owned(),
            national_prefix: "0".to_owned(),
        }
    }

    #[test]
    fn each_form_is_written_and_read_back() {
        let number = Msisdn::parse("+447700900123").unwrap();
        for (kind, text) in [
            (NumberForm::Plus, "+447700900123"),
            (NumberForm::International, "447700900123"),
            (NumberForm::National, "07700900123"),
        ] {
            let form = form(kind);
            assert!(form.check().is_ok());
            assert_eq!(form.write(&number).as_deref(), Some(text));
            assert!(form.read(text) == Some(number), "{kind:?}");
            // A `char(16)` is padded.
            assert!(form.read(&format!("{text}   ")) == Some(number), "{kind:?}");
        }
    }

    #[test]
    fn what_is_of_another_form_or_country_is_no_number() {
        let french = Msisdn::parse("+33639980123").unwrap();
        assert_eq!(form(NumberForm::National).write(&french), None);
        for (kind, text) in [
            (NumberForm::Plus, "447700900123"),
            (NumberForm::International, "+447700900123"),
            (NumberForm::National, "7700900123"),
            (NumberForm::International, "44 7700 900123"),
            (NumberForm::International, ""),
        ] {
            assert!(form(kind).read(text).is_none(), "{kind:?} {text}");
        }
        let mut nowhere = form(NumberForm::National);
        nowhere.country_code.clear();
        assert!(nowhere.check().is_err());
        nowhere.country_code = "+44".to_owned();
        assert!(nowhere.check().is_err());
    }
}
