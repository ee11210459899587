//! The report as one HTML page that needs nothing else: no script, no font, no image from
//! elsewhere. It reads on a screen, prints on A4, and says the same in tables as in charts.

mod charts;
mod fair;
mod sections;
mod style;
pub(crate) mod words;

use std::fmt::Write as _;

use super::Report;
use crate::footer::Footer;
use words::escape;

/// The page. Its text is the same for the same report and footer, so its hash can be recorded.
#[must_use]
pub fn html(report: &Report, footer: &Footer) -> String {
    let mut page = String::with_capacity(64 * 1024);
    let title = "Accord: report to the joint committee";
    let _ = write!(
        page,
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{title}, {}</title>
<style>{}</style>
</head>
<body>
"#,
        escape(&sections::period(report)),
        style::STYLE
    );
    page.push_str(&sections::head(report, footer));
    page.push_str("<main>\n");
    page.push_str(&sections::overview(report));
    page.push_str(&fair::fair_access(report));
    page.push_str(&sections::operators(report));
    page.push_str(&sections::without_value(report));
    page.push_str(&sections::purposes(report));
    page.push_str(&sections::happenings(report));
    page.push_str(sections::HOW);
    page.push_str("</main>\n<footer>\n<p><strong>Confidential: ");
    page.push_str(&escape(&footer.terms));
    page.push_str(".</strong></p>\n<dl>\n");
    for (name, value) in footer.pairs() {
        if !value.is_empty() && name != "terms" {
            let name = name.replace('_', " ");
            let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
        }
    }
    page.push_str(
        "</dl>\n<p class=\"note\">Whoever made this page put its SHA-256 on the record of ",
    );
    page.push_str("the ledger: <code>sha256sum</code> of the file, and the entry of kind ");
    page.push_str("<code>export</code>, must agree.</p>\n</footer>\n</body>\n</html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::super::{Tally, tests::sample};
    use super::*;

    fn footer() -> Footer {
        Footer {
            owner: "spiffe://accord.test/authority/central-bank".to_owned(),
            recipients: vec!["<b>Joint & Committee</b>".to_owned()],
            description: "half-yearly".to_owned(),
            purpose: "R43".to_owned(),
            sensitivity: "confidential".to_owned(),
            case: String::new(),
            needed_by: "2026-12-31".to_owned(),
            made: "2026-11-26T12:00:00Z".to_owned(),
            terms: crate::footer::NO_ONWARD_DISCLOSURE.to_owned(),
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_nothing_becomes_markup() {
        let page = html(&sample().finish(), &footer());
        for from_elsewhere in ["http://", "https://", "<script", "src=", "url(", "@import"] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
        assert!(!page.contains("<b>Joint"));
        assert!(page.contains("&lt;b&gt;Joint &amp; Committee&lt;/b&gt;"));
        assert!(page.contains(crate::footer::NO_ONWARD_DISCLOSURE));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn every_element_that_opens_closes() {
        for tally in [sample(), Tally::of(None, None)] {
            let page = html(&tally.finish(), &footer());
            for element in [
                "html", "head", "body", "main", "header", "footer", "section", "table", "thead",
                "tbody", "tr", "th", "td", "figure", "svg", "text", "title", "dl", "dt", "dd", "p",
                "ul", "ol", "li", "h1", "h2", "h3", "style", "caption", "code",
            ] {
                let opens = page.matches(&format!("<{element}>")).count()
                    + page.matches(&format!("<{element} ")).count();
                let closes = page.matches(&format!("</{element}>")).count();
                assert_eq!(opens, closes, "{element}");
            }
        }
    }

    #[test]
    fn an_empty_period_says_so() {
        let page = html(&Tally::of(None, None).finish(), &footer());
        assert!(page.contains("No question was asked"), "{page}");
    }
}
