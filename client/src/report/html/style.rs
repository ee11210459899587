//! How the page looks: on a screen, light or dark as the reader likes it, and on A4 paper.

/// The style sheet. No font, image or script is fetched from anywhere.
pub(super) const STYLE: &str = r#"
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --ink: #1d2530; --soft: #5c6675; --line: #d9d6cc; --wash: #f3f1ea;
  --accent: #24496b;
  --c0: #2f6f6b; --c1: #86b3a5; --c2: #d3a13f; --c3: #a3473b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15191f; --ink: #e6e3da; --soft: #9aa3af; --line: #363d47; --wash: #1d232b;
    --accent: #8fb8dc;
    --c0: #55a8a0; --c1: #2f6a66; --c2: #dcb25c; --c3: #d8796b;
  }
}
* { box-sizing: border-box; }
html { font-size: 16px; }
body {
  margin: 0 auto; max-width: 54rem; padding: 3rem 1.5rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 "Source Serif 4", Charter, "Bitstream Charter", Georgia,
  "Noto Serif", serif;
}
header { border-bottom: 3px double var(--line); padding-bottom: 1.4rem; margin-bottom: 2rem; }
.mark {
  font: 600 .78rem/1 system-ui, sans-serif; letter-spacing: .14em; text-transform: uppercase;
  color: var(--soft); margin: 0; max-width: none;
}
.seal { border: 1px solid currentColor; border-radius: 2px; padding: .2em .5em; float: right;
  color: var(--c3); letter-spacing: .1em; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 600; margin: .9rem 0 .4rem; }
h2 { font-size: 1.28rem; font-weight: 600; margin: 2.6rem 0 .4rem; color: var(--accent); }
h3 { font: 600 .92rem/1.4 system-ui, sans-serif; margin: 1.5rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 42rem; }
.lead, .note { color: var(--soft); } .lead { max-width: none; }
.note, figcaption, .legend { font: .84rem/1.5 system-ui, sans-serif; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.6rem, 1fr)); gap: 1rem;
  margin: 0; }
.key div { border-top: 2px solid var(--accent); padding-top: .5rem; }
.key dt { font: .8rem/1.35 system-ui, sans-serif; color: var(--soft); }
.key dd { margin: .1rem 0 0; font-size: 1.55rem; font-variant-numeric: lining-nums; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1.2rem;
  font: .86rem/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { text-align: right; padding: .38rem .55rem; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
th { font-weight: 600; color: var(--soft); border-bottom-color: var(--soft); }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: nowrap; }
td { white-space: nowrap; } td.text { white-space: normal; }
td.text, th.text { text-align: left; }
tbody th { color: var(--ink); border-bottom-color: var(--line); }
code { font: .84em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
figure { margin: 1rem 0 1.4rem; }
figcaption { color: var(--soft); margin-top: .3rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .span { stroke: var(--accent); stroke-width: 5; stroke-linecap: round; opacity: .38; }
svg .dot { fill: var(--accent); }
svg .ring { fill: var(--paper); stroke: var(--accent); stroke-width: 2; }
svg .band { fill: var(--wash); }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .2rem 0 .6rem; padding: 0;
  list-style: none; color: var(--soft); }
.legend svg { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.worse { color: var(--c3); font-weight: 600; } .better { color: var(--c0); font-weight: 600; }
ol.how { padding-left: 1.2rem; font: .84rem/1.5 system-ui, sans-serif; color: var(--soft);
  max-width: 46rem; }
ol.how li { margin-bottom: .4rem; }
footer { border-top: 3px double var(--line); margin-top: 3rem; padding-top: 1rem;
  font: .82rem/1.5 system-ui, sans-serif; }
footer dl { display: grid; grid-template-columns: 9rem 1fr; gap: .15rem 1rem; margin: .6rem 0; }
footer dt { color: var(--soft); } footer dd { margin: 0; overflow-wrap: anywhere; }
@page {
  size: A4; margin: 17mm 16mm 20mm;
  @bottom-left {
    content: "Confidential: no onward disclosure without both authorities";
    font: 8pt system-ui, sans-serif; color: #555;
  }
  @bottom-right {
    content: counter(page) " / " counter(pages); font: 8pt system-ui, sans-serif; color: #555;
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #16191d; --soft: #555; --line: #cfccc2; --wash: #f2f0ea;
    --accent: #24496b; --c0: #2f6f6b; --c1: #86b3a5; --c2: #d3a13f; --c3: #a3473b;
  }
  html { font-size: 10.5pt; }
  body { max-width: none; padding: 0; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  h2, h3, caption { break-after: avoid; }
  figure, table, tr, .key, footer, ol.how li { break-inside: avoid; }
  h2 + p, h3 + figure { break-before: avoid; }
  thead { display: table-header-group; }
}
"#;
