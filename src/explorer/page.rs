//! The page of one domain.

use super::html::{Html, Value};
use super::{Explorer, Tab, Text, source};
use crate::diag::render::Lines;
use crate::diag::{Diagnostic, Severity};
use crate::plan::{Accelerator, Instance, Plan};
use serde::Serialize;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page asks nobody: a browser holds it to that.
const ALONE: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
                     script-src 'unsafe-inline' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'\" />\n";

/// Where a part of an output is on the page.
pub fn link_of((tab, text, part): (usize, usize, usize)) -> String {
    format!("#o{tab}-{text}-{part}")
}

/// What all pages begin with.
pub fn begin(out: &mut Html, title: &str) {
    out.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n").raw(ALONE);
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\" />\n<title>");
    out.text(title).raw("</title>\n<style>\n").raw(STYLE).raw("</style>\n</head>\n<body>\n");
}

/// What all pages end with.
pub fn end(out: &mut Html) {
    out.raw("<footer class=\"made\">Made by virtc ").raw(env!("CARGO_PKG_VERSION"));
    out.raw(". This page holds everything that it needs, and asks nobody.</footer>\n");
    out.raw("<script>\n").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
}

/// The page.
pub fn page(explorer: &Explorer<'_>) -> String {
    let mut out = Html::default();
    let name = explorer.plan.map_or(explorer.file, |plan| &plan.name);
    begin(&mut out, &format!("{name}: why"));
    out.raw("<a class=\"skip\" href=\"#outputs\">To the outputs</a>\n");
    head(explorer, name, &mut out);
    out.raw("<main class=\"panes\">\n");
    left(explorer, &mut out);
    right(explorer, &mut out);
    out.raw("</main>\n<div class=\"why\" role=\"status\" aria-live=\"polite\" id=\"why\"></div>\n");
    end(&mut out);
    out.finish()
}

fn head(explorer: &Explorer<'_>, name: &str, out: &mut Html) {
    out.raw("<header class=\"top\">\n<div class=\"who\">\n").element("h1", "", name);
    if let Some(title) = explorer.plan.and_then(|p| p.title.as_deref()) {
        out.element("p", "title", title);
    }
    out.raw("<ul class=\"facts\">");
    summary(explorer, out);
    out.raw("</ul>\n</div>\n");
    search(out);
    out.raw("</header>\n");
}

/// The facts of the head, an item each.
fn summary(explorer: &Explorer<'_>, out: &mut Html) {
    for fact in explorer.plan.map(facts).unwrap_or_default() {
        out.element("li", "", &fact);
    }
    let count = |severity| explorer.diagnostics.iter().filter(|d| d.severity == severity).count();
    for (severity, class, one) in [
        (Severity::Error, "error", "error"),
        (Severity::Warning, "warning", "warning"),
        (Severity::Note, "note", "note"),
    ] {
        let count = count(severity);
        if count > 0 {
            let text = format!("{count} {one}{}", if count == 1 { "" } else { "s" });
            out.raw("<li>").open("a", &[("class", Value::Text(class)), ("href", Value::Text("#tab-said"))]);
            out.text(&text).raw("</a></li>");
        }
    }
}

/// The field to search in, which the script shows.
pub fn search(out: &mut Html) {
    out.raw("<form class=\"find\" role=\"search\" hidden=\"\"><label for=\"find\">Search</label>");
    out.raw(
        "<input id=\"find\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"Search  /\" />",
    );
    out.raw("<output for=\"find\" id=\"found\"></output></form>\n");
}

/// What a reader wants to know first.
fn facts(plan: &Plan) -> Vec<String> {
    let how = match plan.accelerator {
        Accelerator::Kvm => "KVM",
        Accelerator::Tcg => "emulated",
        Accelerator::Other => "another accelerator",
    };
    let instance = match plan.instance {
        Instance::System => "system",
        Instance::Session => "session",
    };
    let many = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    vec![
        plan.qemu.to_string(),
        how.to_string(),
        instance.to_string(),
        format!("for {}", plan.target),
        many(plan.processes.len(), "process", "processes"),
        many(plan.processes.iter().map(|p| p.args.len()).sum(), "argument", "arguments"),
        many(plan.access.len(), "path", "paths"),
    ]
}

fn left(explorer: &Explorer<'_>, out: &mut Html) {
    out.raw("<section class=\"source\" aria-labelledby=\"h-source\">\n<div class=\"bar\"><h2 id=\"h-source\">");
    out.text(explorer.file).raw("</h2>");
    out.element("p", "hint", "Choose a line on either side: what belongs to it lights up.");
    out.raw("</div>\n<pre class=\"code\" tabindex=\"0\" aria-labelledby=\"h-source\"><code>");
    code(explorer, out);
    out.raw("</code></pre>\n<div class=\"defaults\">");
    defaults(explorer, out);
    out.raw("</div>\n</section>\n");
}

/// The source with its links.
fn code(explorer: &Explorer<'_>, out: &mut Html) {
    let told = Vec::from_iter(explorer.diagnostics.iter().map(|d| (d.span, d.severity)));
    source::write(explorer.source, &explorer.origins, &told, out);
}

/// What is not in the source and brought something about.
fn defaults(explorer: &Explorer<'_>, out: &mut Html) {
    let defaults = Vec::from_iter(explorer.origins.iter().enumerate().filter(|(_, origin)| origin.tag.is_none()));
    if defaults.is_empty() {
        return;
    }
    out.raw("<h3>Not in the file: default rules</h3>\n<ul>");
    for (number, origin) in defaults {
        let target = link_of(origin.first);
        let attributes = [
            ("class", Value::Text("c")),
            ("id", Value::Id("c", number)),
            ("href", Value::Text(&target)),
            ("data-c", Value::Id("", number)),
        ];
        let words = origin.what.strip_prefix("default: ").unwrap_or(&origin.what);
        out.raw("<li>").open("a", &attributes).text(words).close("a").raw("</li>\n");
    }
    out.raw("</ul>");
}

fn right(explorer: &Explorer<'_>, out: &mut Html) {
    let panels = panels(explorer);
    out.raw("<section class=\"outputs\" id=\"outputs\" aria-label=\"Outputs\">\n<nav class=\"bar tabs\" aria-label=\"Outputs\">");
    for Panel { id, title, .. } in &panels {
        let (target, own) = (format!("#tab-{id}"), format!("to-{id}"));
        out.open("a", &[("href", Value::Text(&target)), ("id", Value::Text(&own))]);
        out.text(title).raw("<span class=\"lit\"></span></a>");
    }
    out.raw("</nav>\n");
    for panel in panels {
        out.append(panel.html);
    }
    if explorer.tabs.is_empty() {
        out.raw("<p class=\"about\">There are errors, so nothing came of this domain.</p>\n");
    }
    out.raw("</section>\n");
}

/// What is behind a tab.
#[derive(Serialize)]
pub struct Panel {
    /// A word for links.
    id: &'static str,
    title: &'static str,
    html: String,
}

/// The panels, in the order of their tabs.
fn panels(explorer: &Explorer<'_>) -> Vec<Panel> {
    let of_tab = |(number, tab): (usize, &Tab)| {
        let mut out = Html::default();
        panel(number, tab, explorer, &mut out);
        Panel { id: tab.id, title: tab.title, html: out.finish() }
    };
    let mut all = Vec::from_iter(explorer.tabs.iter().enumerate().map(of_tab));
    if !explorer.diagnostics.is_empty() {
        let mut out = Html::default();
        messages(explorer, &mut out);
        all.push(Panel { id: "said", title: "Messages", html: out.finish() });
    }
    all
}

/// The parts of the page that follow from the domain, for a page that takes in new ones while it is looked at.
#[derive(Serialize)]
pub struct Pieces {
    name: String,
    title: String,
    /// Whether there are no errors.
    fine: bool,
    facts: String,
    source: String,
    defaults: String,
    panels: Vec<Panel>,
}

/// The parts of the page of a domain.
pub fn pieces(explorer: &Explorer<'_>) -> Pieces {
    let text = |write: fn(&Explorer<'_>, &mut Html)| {
        let mut out = Html::default();
        write(explorer, &mut out);
        out.finish()
    };
    let plan = explorer.plan;
    Pieces {
        name: plan.map_or(explorer.file, |plan| &plan.name).to_string(),
        title: plan.and_then(|plan| plan.title.clone()).unwrap_or_default(),
        fine: plan.is_some(),
        facts: text(summary),
        source: text(code),
        defaults: text(defaults),
        panels: panels(explorer),
    }
}

/// The beginning of what is behind a tab.
pub fn begin_panel(id: &str, title: &str, about: &str, out: &mut Html) {
    let (own, label) = (format!("tab-{id}"), format!("to-{id}"));
    let attributes =
        [("class", Value::Text("panel")), ("id", Value::Text(&own)), ("aria-labelledby", Value::Text(&label))];
    out.open("section", &attributes).raw("\n").element("h2", "panel-title", title);
    out.element("p", "about", about).raw("\n");
}

fn panel(number: usize, tab: &Tab, explorer: &Explorer<'_>, out: &mut Html) {
    begin_panel(tab.id, tab.title, tab.about, out);
    for (at, text) in tab.texts.iter().enumerate() {
        out.raw("<article class=\"file\">").element("h3", "", &text.name);
        let attributes =
            [("class", Value::Text("code")), ("tabindex", Value::Text("0")), ("aria-label", Value::Text(&text.name))];
        out.open("pre", &attributes).raw("<code>");
        write_text(text, (number, at), explorer, out);
        out.raw("</code></pre></article>\n");
    }
    out.raw("</section>\n");
}

/// An output with its links back to the source.
fn write_text(text: &Text, place: (usize, usize), explorer: &Explorer<'_>, out: &mut Html) {
    let mut at = 0;
    for (number, part) in text.parts.iter().enumerate() {
        plain(text, at, part.range.start, out);
        let own = format!("o{}-{}-{number}", place.0, place.1);
        let origins = part.origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let first = part.origins.first().copied().unwrap_or_default();
        let line = explorer.origins.get(first).map_or(0, |origin| origin.line).to_string();
        let why = format!("because of {}", part.why);
        out.open(
            "a",
            &[
                ("class", Value::Text("o")),
                ("id", Value::Text(&own)),
                ("href", Value::Id("#c", first)),
                ("data-c", Value::Text(&origins)),
                ("data-l", Value::Text(&line)),
                ("title", Value::Text(&why)),
            ],
        );
        plain(text, part.range.start, part.range.end, out);
        out.close("a");
        at = part.range.end;
    }
    plain(text, at, text.text.len(), out);
}

/// A piece of an output; what was added is marked.
fn plain(text: &Text, start: usize, end: usize, out: &mut Html) {
    let piece = |from: usize, to: usize| text.text.get(from..to).unwrap_or_default();
    let mut at = start;
    for added in text.added.iter().filter(|a| a.start < end && a.end > start) {
        let (from, to) = (added.start.max(at), added.end.min(end));
        if from >= to {
            continue;
        }
        out.text(piece(at, from)).raw("<ins>").text(piece(from, to)).raw("</ins>");
        at = to;
    }
    out.text(piece(at, end));
}

fn messages(explorer: &Explorer<'_>, out: &mut Html) {
    begin_panel("said", "Messages", "What virtc has to say about this domain.", out);
    let lines = Lines::of(explorer.source);
    out.raw("<ul class=\"said\">\n");
    for said in &explorer.diagnostics {
        message(said, &lines, out);
    }
    out.raw("</ul>\n</section>\n");
}

fn message(said: &Diagnostic, lines: &Lines<'_>, out: &mut Html) {
    out.open("li", &[("class", Value::Text(said.severity.as_str()))]).raw("<p>");
    out.element("strong", "", said.severity.as_str()).raw(" ").element("code", "", said.code.id).raw(" ");
    out.text(&said.message);
    if !said.span.is_none() {
        let line = lines.place(said.span.start).0;
        out.raw(" ").open("a", &[("class", Value::Text("line")), ("href", Value::Id("#L", line))]);
        out.raw("line ").number(line).close("a");
    }
    out.raw("</p>");
    if let Some(help) = &said.help {
        out.element("p", "help", help);
    }
    out.raw("</li>\n");
}
