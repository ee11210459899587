//! Figures in words, and text that may stand in a page.

use super::super::Count;

/// Text as HTML: nothing that came from elsewhere can become markup.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Characters that turn the order of the text around could show another name.
            c if c.is_control() || is_direction(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1,234,567`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count, or that it is withheld.
pub(crate) fn count(value: Count) -> String {
    value.map_or_else(|| "withheld".to_owned(), number)
}

/// `0.35 ms`, `12 ms`, `1.20 s`.
pub(crate) fn micros(value: u64) -> String {
    match value {
        0 => "0".to_owned(),
        1..10_000 => format!("{:.2} ms", value as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", value as f64 / 1e3),
        _ => format!("{:.2} s", value as f64 / 1e6),
    }
}

/// The same, or a dash.
pub(crate) fn maybe_micros(value: Option<u64>) -> String {
    value.map_or_else(|| "–".to_owned(), micros)
}

/// A span of time: `42 s`, `12 min`, `6.1 h`, `29.8 d`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms as f64 / 1e3;
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..259_200.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

/// `99.93 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.995 || percent == 0.0 {
        format!("{percent:.0} %")
    } else if !(1.0..99.0).contains(&percent) {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A p value.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

/// `2026-11-26T20:00:00Z` as `2026-11-26 20:00`.
pub(crate) fn moment(text: &str) -> String {
    let text = text.replace('T', " ");
    let cut: String = text.chars().take(16).collect();
    cut.strip_suffix(" 00:00")
        .map_or_else(|| cut.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
        assert_eq!(count(None), "withheld");
        assert_eq!(micros(350), "0.35 ms");
        assert_eq!(micros(12_400), "12 ms");
        assert_eq!(micros(1_200_000), "1.20 s");
        assert_eq!(span(3_000), "3 s");
        assert_eq!(span(22_000_000), "6.1 h");
        assert_eq!(span(2_592_000_000), "30.0 d");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.99934), "99.93 %");
        assert_eq!(percent(0.4567), "45.7 %");
        assert_eq!(p_value(0.000_01), "< 0.001");
        assert_eq!(moment("2026-11-26T00:00:00Z"), "2026-11-26");
        assert_eq!(moment("2026-11-26T21:00:00Z"), "2026-11-26 21:00");
    }

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(
            escape("<script>\"'&\u{202e}\n"),
            "&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}"
        );
    }
}
