//! The reference page: all of the door on one page that loads nothing from anywhere.

use std::fmt::Write as _;

use super::{
    openapi::{ANSWER_HEADERS, REQUEST_HEADERS, codes},
    schemas,
    table::{APIS, Endpoint},
};

/// What the page may do: show itself.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                                 form-action 'none'; frame-ancestors 'none'";

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accord: the CAMARA door</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid #8886; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; }
h2 { margin-top: 3rem; } h3 { margin-top: 2rem; }
</style>
</head>
<body>
<h1>Accord: the CAMARA door</h1>
<p>APIs of CAMARA (GSMA Open Gateway), asked of every mobile operator that the agreement names. What
the agreement does not allow is refused; what is not known is never answered with <code>false</code>.
Every answer has an entry in a public log, and its receipt in headers.</p>
<p>For programs: <a href="/openapi.json"><code>/openapi.json</code></a> (OpenAPI 3.1). Where tokens are
got: <a href="/.well-known/openid-configuration"><code>/.well-known/openid-configuration</code></a>.
What you may ask of whom: <code>GET /accord/v1/coverage</code>, with a token.</p>
"#;

/// The page. `url` is where clients reach the door.
pub(super) fn page(url: &str) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("<nav><ul>\n");
    for api in APIS {
        // Writing into a text can't fail.
        let _ = writeln!(
            page,
            "<li><a href=\"#{}\">{}</a> <code>{}</code></li>",
            anchor(api.base),
            escaped(api.title),
            api.base
        );
    }
    page.push_str("</ul></nav>\n<h2>Headers</h2>\n<table>\n<tr><th>Of a request<th>\n");
    row(
        &mut page,
        "x-correlator",
        "Comes back with the answer; made where there is none.",
    );
    for (name, _, meaning) in REQUEST_HEADERS {
        row(&mut page, name, meaning);
    }
    page.push_str("</table>\n<table>\n<tr><th>Of an answer<th>\n");
    for (name, meaning) in ANSWER_HEADERS {
        row(&mut page, name, meaning);
    }
    page.push_str("</table>\n");
    for api in APIS {
        let _ = writeln!(
            page,
            "<h2 id=\"{}\">{}</h2>\n<p>{}.</p>",
            anchor(api.base),
            escaped(api.title),
            escaped(api.follows)
        );
        for endpoint in api.endpoints {
            section(&mut page, url, api.base, endpoint);
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn section(page: &mut String, url: &str, base: &str, endpoint: &Endpoint) {
    let scopes: Vec<_> = endpoint
        .operation
        .scopes()
        .iter()
        .map(|scope| format!("<code>{scope}</code>"))
        .collect();
    let request = serde_json::to_string_pretty(&schemas::request(endpoint.fields));
    let answer = serde_json::to_string_pretty(&schemas::answer(endpoint.answers));
    let _ = write!(
        page,
        "<h3><code>POST {base}{path}</code></h3>\n<p>{summary} Scope: {scopes}.</p>\n\
         <p><code>{url}{base}{path}</code></p>\n\
         <details><summary>Request</summary><pre>{request}</pre></details>\n\
         <details><summary>Answer</summary><pre>{answer}</pre></details>\n\
         <details><summary>Errors</summary><table>\n",
        path = endpoint.path,
        summary = escaped(endpoint.summary),
        scopes = scopes.join(" or "),
        url = escaped(url),
        request = escaped(&request.unwrap_or_default()),
        answer = escaped(&answer.unwrap_or_default()),
    );
    for code in codes(endpoint) {
        let name = format!("{} {}", code.status().as_u16(), code.word());
        row(page, &name, code.meaning());
    }
    page.push_str("</table></details>\n");
}

fn row(page: &mut String, name: &str, meaning: &str) {
    let _ = writeln!(
        page,
        "<tr><td><code>{}</code><td>{}",
        escaped(name),
        escaped(meaning)
    );
}

fn anchor(base: &str) -> String {
    base.replace(['/', '.'], "-")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_loads_nothing() {
        let page = page("https://broker.test");
        for api in APIS {
            for endpoint in api.endpoints {
                assert!(page.contains(&format!("POST {}{}", api.base, endpoint.path)));
            }
        }
        for loader in ["<script", "src=", "<link", "@import", "url(", "http://"] {
            assert!(!page.contains(loader), "{loader}");
        }
        assert!(page.len() < 256 << 10, "{}", page.len());
    }
}
