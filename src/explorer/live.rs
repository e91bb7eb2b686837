//! The page that compiles while one types: what it asks the compiler, and what it is told.
//!
//! The question and the answer are JSON, so that a browser asks with nothing but text. The answer is the parts of the page of
//! [`Explorer`]; what is there without a domain is [`shell`].

use super::Explorer;
use super::html::{Html, Value};
use super::page::{self, Pieces};
use crate::caps::{Choice, Wanted, profiles};
use crate::compile::{Until, compile_for};
use crate::diag::{Diagnostics, Severity, Span};
use crate::emit::Templates;
use crate::host::{self, Distribution, Host};
use crate::plan::Target;
use crate::stage::Options;
use crate::vocab::Release;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

const STYLE: &str = include_str!("live.css");
const SCRIPT: &str = include_str!("live.js");

/// What is to be compiled, and for what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The XML of the domain.
    source: String,
    /// An embedded profile, `qemu-10.0`; empty for the one that fits.
    #[serde(default)]
    qemu: String,
    /// A distribution; empty for a host of which nothing is known.
    #[serde(default)]
    host: String,
    /// The text of a `host.kdl`; it stands for the host where it is not blank.
    #[serde(default)]
    facts: String,
    /// `standalone`, `libvirt@11.3`; empty for the first.
    #[serde(default)]
    target: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Pieces(Box<Pieces>),
    /// The question could not be understood: why.
    Refused {
        refused: String,
    },
}

/// Answers a question. Both are JSON.
pub fn answer(question: &str) -> String {
    let answer = match answered(question) {
        Ok(pieces) => Answer::Pieces(Box::new(pieces)),
        Err(refused) => Answer::Refused { refused },
    };
    // An answer is texts, numbers and truths, so that it always is JSON.
    serde_json::to_string(&answer).unwrap_or_default()
}

fn answered(question: &str) -> Result<Pieces, String> {
    let asked: Question = serde_json::from_str(question).map_err(|e| format!("the question is not understood: {e}"))?;
    let choice = match asked.qemu.as_str() {
        "" => Choice::Fitting,
        name => Choice::profile(name).ok_or_else(|| format!("there is no profile '{name}'"))?,
    };
    let target = match asked.target.as_str() {
        "" => Target::default(),
        target => target.parse::<Target>()?,
    };
    let mut faults = Diagnostics::new();
    let host = host(&asked, &mut faults)?;
    let options = Options { target, fresh_lock: true, ..Options::default() };
    let choose = |wanted: &Wanted<'_>| choice.for_domain(wanted);
    let mut compiled = compile_for(asked.source.as_bytes(), &host, &choose, &options, Until::Planned);
    if faults.has_errors() {
        compiled.plan = None;
    }
    compiled.diags.extend(faults);
    // Parsed once: who types asks often.
    static TEMPLATES: OnceLock<Templates> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(Templates::built_in);
    Ok(page::pieces(&Explorer::of("domain.xml", &asked.source, &compiled, templates)))
}

/// The host that is asked for. What is wrong with facts is told without a place: they are not the domain.
fn host(asked: &Question, faults: &mut Diagnostics) -> Result<Host, String> {
    if !asked.facts.trim().is_empty() {
        let mut found = Diagnostics::new();
        let host = host::read(&asked.facts, &mut found);
        let lines = crate::diag::render::Lines::of(&asked.facts);
        for fault in found.sorted() {
            let line = if fault.span.is_none() { 1 } else { lines.place(fault.span.start).0 };
            let message = format!("facts of the host, line {line}: {}", fault.message);
            let told = match fault.severity {
                Severity::Error => faults.error(fault.code, Span::NONE, message),
                Severity::Warning => faults.warning(fault.code, Span::NONE, message),
                Severity::Note => faults.note(fault.code, Span::NONE, message),
            };
            if let Some(help) = &fault.help {
                told.help(help.clone());
            }
        }
        return Ok(host);
    }
    match asked.host.as_str() {
        "" => Ok(Host::open()),
        name => {
            let distribution = Distribution::parse(name).ok_or_else(|| format!("there is no host '{name}'"))?;
            let mut host = distribution.host();
            host.files.firmware = distribution.descriptors();
            Ok(host)
        }
    }
}

/// The page without a domain: `module` is the compiler (WebAssembly, compressed with gzip, as base64), `examples` are names and
/// texts of domains to begin with.
pub fn shell(module: &str, examples: &[(String, String)]) -> String {
    let mut out = Html::default();
    page::begin(&mut out, "virtc: see what a domain becomes");
    out.raw("<style>\n").raw(STYLE).raw("</style>\n<a class=\"skip\" href=\"#outputs\">To the outputs</a>\n");
    out.raw(
        "<header class=\"top\">\n<div class=\"who\">\n<h1 id=\"name\">virtc</h1><p class=\"title\" id=\"title\"></p>",
    );
    out.raw("<ul class=\"facts\" id=\"facts\"></ul>\n</div>\n");
    page::search(&mut out);
    out.raw("</header>\n<form class=\"choices\" id=\"choices\" aria-label=\"What to compile, and for what\">\n");
    choices(examples, &mut out);
    out.raw("</form>\n<main class=\"panes\">\n<section class=\"source\" aria-label=\"Domain\">\n");
    out.raw("<div class=\"bar\"><h2 id=\"h-source\">domain.xml</h2><span id=\"took\"></span></div>\n");
    out.raw("<div class=\"editor\"><pre class=\"code\" aria-hidden=\"true\"><code id=\"code\"></code></pre>\n");
    out.raw("<textarea class=\"code\" id=\"source\" aria-labelledby=\"h-source\" spellcheck=\"false\" autocapitalize=\"off\" ");
    out.raw("autocomplete=\"off\" wrap=\"soft\"></textarea></div>\n<div class=\"defaults\" id=\"defaults\"></div>\n</section>\n");
    out.raw("<section class=\"outputs\" id=\"outputs\" aria-label=\"Outputs\">\n");
    out.raw("<nav class=\"bar tabs\" id=\"tabs\" aria-label=\"Outputs\"></nav>\n");
    out.raw("<p class=\"stale\" id=\"stale\" role=\"status\"></p>\n<div id=\"panels\"></div>\n");
    out.raw("<noscript><p class=\"about\">The compiler runs in the browser, and needs a script.</p></noscript>\n");
    out.raw("</section>\n</main>\n");
    out.raw("<div class=\"why\" role=\"status\" aria-live=\"polite\" id=\"why\"></div>\n");
    out.raw("<script type=\"text/plain\" id=\"module\">").text(module).raw("</script>\n");
    page::end(&mut out);
    let text = out.finish();
    // The script of the page wires what this one puts into it.
    let (page, end) = text.rsplit_once("</body>").unwrap_or((&text, ""));
    format!("{page}<script>\n{SCRIPT}</script>\n</body>{end}")
}

fn choices(examples: &[(String, String)], out: &mut Html) {
    begin_choice("example", "Example", out);
    option("", "begin with …", out);
    for (name, text) in examples {
        option(text, name, out);
    }
    end_choice(out);
    begin_choice("qemu", "QEMU", out);
    option("", "the one that fits", out);
    for release in profiles::releases().into_iter().rev() {
        option(&format!("qemu-{release}"), release, out);
    }
    end_choice(out);
    begin_choice("host", "Host", out);
    option("", "any", out);
    for distribution in Distribution::ALL {
        option(distribution.as_str(), distribution.title(), out);
    }
    option("own", "facts of my own", out);
    end_choice(out);
    begin_choice("target", "Target", out);
    for target in [Target::Standalone, Target::LIBVIRT, Target::Libvirt(Release::OLDEST)] {
        option(&target.to_string(), &target.to_string(), out);
    }
    end_choice(out);
    out.raw("<button type=\"button\" id=\"share\">Copy link</button>\n");
    out.raw(
        "<label class=\"own\" id=\"own\" hidden=\"\"><span>host.kdl, as <code>virtc probe host</code> writes it</span>",
    );
    out.raw("<textarea id=\"own-facts\" rows=\"8\" spellcheck=\"false\"></textarea></label>\n");
}

fn begin_choice(id: &'static str, title: &'static str, out: &mut Html) {
    out.raw("<label><span>").raw(title).raw("</span>").open("select", &[("id", Value::Text(id))]);
}

fn end_choice(out: &mut Html) {
    out.raw("</select></label>\n");
}

fn option(value: &str, title: &str, out: &mut Html) {
    out.open("option", &[("value", Value::Text(value))]).text(title).close("option");
}
