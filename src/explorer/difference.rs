//! The page of `virtc diff`: what differs and what it means on one side, the outputs before and after on the other.
//!
//! It is looked at like the page of a domain: what differs stands where the source does, and a line of an output that it
//! changed is linked with it.

use super::html::{Html, Value};
use super::outputs::{TABS, sheets};
use super::page;
use crate::diag::Diagnostics;
use crate::diag::render::Lines;
use crate::diff::{Class, Classed};
use crate::emit::{Mark, Templates};
use crate::plan::{Cause, Change, Difference, Plan};
use crate::xml;
use similar::{DiffOp, TextDiff};
use std::collections::BTreeSet;

const STYLE: &str = include_str!("difference.css");

/// A machine as one side has it.
pub struct Side<'a> {
    /// The file, or what else it is from.
    pub name: &'a str,
    /// The XML of the domain; none where only the Plan is there.
    pub source: Option<&'a str>,
    /// The Plan.
    pub plan: &'a Plan,
}

/// A machine that was compared, for the page of many.
pub struct Machine<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its own page is, relative to that of all; none if only one side has the machine.
    pub page: Option<&'a str>,
    /// What differs.
    pub found: &'a [Classed],
}

/// A text on both sides, each side with what caused its lines.
struct Pair {
    name: String,
    old: Marked,
    new: Marked,
}

#[derive(Default)]
struct Marked {
    text: String,
    /// For each line the differences that changed it, if it is changed.
    causes: Vec<Vec<usize>>,
}

/// How many lines around a change are shown.
const AROUND: usize = 3;

/// The page of one machine.
pub fn page(old: &Side<'_>, new: &Side<'_>, found: &[Classed], templates: &Templates) -> String {
    let mut out = Html::default();
    begin(&format!("{}: what differs", new.plan.name), &mut out);
    out.raw("<a class=\"skip\" href=\"#outputs\">To the outputs</a>\n<header class=\"top\">\n<div class=\"who\">\n");
    out.element("h1", "", &new.plan.name);
    out.raw("<p class=\"title\">").text(old.name).raw(" → ").text(new.name).raw("</p>\n<ul class=\"facts\">");
    counts(found, &mut out);
    out.raw("</ul>\n</div>\n");
    page::search(&mut out);
    out.raw("</header>\n<main class=\"panes\">\n");
    let tabs = tabs(old, new, found, templates);
    let linked: BTreeSet<usize> = tabs.iter().flat_map(|(_, pairs)| pairs).flat_map(Pair::causes).collect();
    what(found, &linked, &mut out);
    outputs(&tabs, &mut out);
    out.raw("</main>\n<div class=\"why\" role=\"status\" aria-live=\"polite\" id=\"why\"></div>\n");
    page::end(&mut out);
    out.finish()
}

/// The page of many machines.
pub fn index(old: &str, new: &str, machines: &[Machine<'_>]) -> String {
    let mut out = Html::default();
    begin("What differs", &mut out);
    out.raw("<header class=\"top\"><div class=\"who\"><h1>").number(machines.len());
    out.raw(if machines.len() == 1 { " machine differs" } else { " machines differ" }).raw("</h1><p class=\"title\">");
    out.text(old).raw(" → ").text(new).raw("</p></div></header>\n<main class=\"fleet\">\n");
    out.raw("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">machine</th>");
    for class in Class::ALL {
        out.raw("<th scope=\"col\">").element("span", class.as_str(), class.as_str()).raw("</th>");
    }
    out.raw("</tr></thead>\n<tbody>\n");
    for machine in machines {
        out.raw("<tr><th scope=\"row\">");
        match machine.page {
            Some(page) => out.open("a", &[("href", Value::Text(page))]).text(machine.name).close("a"),
            None => {
                let came = machine.found.iter().any(|c| matches!(c.difference.change, Change::Added { .. }));
                out.text(machine.name).raw(if came { " (new)" } else { " (gone)" })
            }
        };
        out.raw("</th>");
        for class in Class::ALL {
            let count = machine.found.iter().filter(|c| c.class == *class).count();
            out.raw("<td>");
            if count > 0 {
                out.number(count);
            }
            out.raw("</td>");
        }
        out.raw("</tr>\n");
    }
    out.raw("</tbody></table></div>\n");
    meanings(&mut out);
    out.raw("</main>\n");
    page::end(&mut out);
    out.finish()
}

fn begin(title: &str, out: &mut Html) {
    page::begin(out, title);
    out.raw("<style>\n").raw(STYLE).raw("</style>\n");
}

/// How many differences of each class there are.
fn counts(found: &[Classed], out: &mut Html) {
    if found.is_empty() {
        out.element("li", "", "nothing differs");
    }
    for class in Class::ALL {
        let count = found.iter().filter(|c| c.class == *class).count();
        if count > 0 {
            out.raw("<li>").number(count).raw(" ");
            badge(*class, out);
            out.raw("</li>");
        }
    }
}

fn badge(class: Class, out: &mut Html) {
    let attributes = [("class", Value::Text(class.as_str())), ("title", Value::Text(class.meaning()))];
    out.open("span", &attributes).text(class.as_str()).close("span");
}

fn meanings(out: &mut Html) {
    out.raw("<dl class=\"classes\">");
    for class in Class::ALL {
        out.raw("<dt>").element("span", class.as_str(), class.as_str()).raw("</dt>");
        out.element("dd", "", class.meaning());
    }
    out.raw("</dl>\n");
}

/// The differences, part by part. One is a link if it is to be seen in an output.
fn what(found: &[Classed], linked: &BTreeSet<usize>, out: &mut Html) {
    out.raw("<section class=\"source\" aria-labelledby=\"h-source\">\n<div class=\"bar\"><h2 id=\"h-source\">What differs</h2></div>\n");
    out.raw("<div class=\"differences\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-source\">\n");
    let mut part = "";
    for (number, classed) in found.iter().enumerate() {
        if classed.difference.part != part {
            if !part.is_empty() {
                out.raw("</ul>\n");
            }
            part = &classed.difference.part;
            out.element("h3", "", part).raw("<ul>\n");
        }
        one(number, classed, linked.contains(&number), out);
    }
    if !part.is_empty() {
        out.raw("</ul>\n");
    }
    out.raw("</div>\n");
    meanings(out);
    out.raw("</section>\n");
}

fn one(number: usize, classed: &Classed, linked: bool, out: &mut Html) {
    let difference = &classed.difference;
    let sign = match &difference.change {
        Change::Added { .. } => "+ ",
        Change::Removed { .. } => "− ",
        Change::Changed { .. } => "~ ",
    };
    out.raw("<li>");
    if linked {
        let own = format!("#c{number}");
        let attributes = [
            ("class", Value::Text("c")),
            ("id", Value::Id("c", number)),
            ("href", Value::Text(&own)),
            ("data-c", Value::Id("", number)),
            ("title", Value::Text(classed.why)),
        ];
        out.open("a", &attributes).text(sign).text(&difference.subject).close("a");
    } else {
        out.text(sign).text(&difference.subject);
    }
    out.raw(" ");
    badge(classed.class, out);
    let cause = &difference.cause;
    if !cause.what.is_empty() {
        let line = if cause.line > 0 { format!("{}, line {}", cause.what, cause.line) } else { cause.what.to_string() };
        out.raw(" ").element("span", "of", &line);
    }
    properties(classed, out);
    out.element("p", "why-so", classed.why);
    for command in &classed.qmp {
        out.element("code", "qmp", command);
    }
    out.raw("</li>\n");
}

fn properties(classed: &Classed, out: &mut Html) {
    let shown = |value: &Option<String>| value.clone().unwrap_or("not set".to_string());
    match &classed.difference.change {
        Change::Added { properties } | Change::Removed { properties } if !properties.is_empty() => {
            let all = properties
                .iter()
                .map(|(name, value)| if name.is_empty() { value.clone() } else { format!("{name}={value}") });
            out.element("code", "whole", &all.collect::<Vec<_>>().join(", "));
        }
        Change::Changed { properties } => {
            out.raw("<dl>");
            for ((name, before, after), (class, _)) in properties.iter().zip(&classed.properties) {
                out.element("dt", "", if name.is_empty() { "value" } else { name }).raw("<dd>");
                out.element("del", "", &shown(before)).raw(" → ").element("ins", "", &shown(after));
                if *class != classed.class {
                    out.raw(" ");
                    badge(*class, out);
                }
                out.raw("</dd>");
            }
            out.raw("</dl>");
        }
        _ => {}
    }
}

impl Pair {
    /// All differences that are to be seen in it.
    fn causes(&self) -> impl Iterator<Item = usize> + '_ {
        self.old.causes.iter().chain(&self.new.causes).flatten().copied()
    }

    fn is_same(&self) -> bool {
        self.old.text == self.new.text
    }
}

/// The outputs of both sides that are not the same, by tab.
fn tabs(old: &Side<'_>, new: &Side<'_>, found: &[Classed], templates: &Templates) -> Vec<(Tab, Vec<Pair>)> {
    let mut all = Vec::new();
    if let (Some(before), Some(after)) = (old.source, new.source) {
        let pair = Pair {
            name: format!("{} → {}", old.name, new.name),
            old: of_source(before, found, |c| matches!(c, Change::Removed { .. } | Change::Changed { .. })),
            new: of_source(after, found, |c| matches!(c, Change::Added { .. } | Change::Changed { .. })),
        };
        all.push((("domain", "Domain", "The files."), vec![pair]));
    }
    // What cannot be expressed has been told by whoever compiled.
    let mut unheard = Diagnostics::new();
    let [before, after] = [old.plan, new.plan].map(|plan| sheets(plan, templates, &mut unheard));
    for tab in TABS {
        let own = |sheet: &&super::outputs::Sheet| sheet.tab == tab.0;
        let names: BTreeSet<(&str, &str)> =
            before.iter().chain(&after).filter(own).map(|sheet| (sheet.tab, sheet.name.as_str())).collect();
        let pairs = names.into_iter().map(|(tab, name)| {
            let side = |all: &[super::outputs::Sheet]| {
                let sheet = all.iter().find(|sheet| sheet.tab == tab && sheet.name == name);
                sheet.map_or_else(Marked::default, |sheet| of_output(&sheet.text, &sheet.marks, found))
            };
            let mut pair = Pair { name: name.to_string(), old: side(&before), new: side(&after) };
            follow_the_other_side(&mut pair);
            pair
        });
        all.push((tab, pairs.collect()));
    }
    all
}

type Tab = (&'static str, &'static str, &'static str);

/// Whether two causes are one: an element, or a rule.
fn same(one: &Cause, other: &Cause) -> bool {
    one.line == other.line && (one.line > 0 || one.what == other.what)
}

/// For each line of an output the differences with its cause.
fn of_output(text: &str, marks: &[Mark], found: &[Classed]) -> Marked {
    let mut causes = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let own = marks.iter().filter(|mark| mark.range.start < end && mark.range.end > start);
        let own = Vec::from_iter(own.map(|mark| &mark.cause));
        let because = |c: &Classed| own.iter().any(|cause| same(cause, c.cause()));
        causes.push(Vec::from_iter(found.iter().enumerate().filter(|(_, c)| because(c)).map(|(number, _)| number)));
        start = end;
    }
    Marked { text: text.to_string(), causes }
}

/// For each line of a source the differences whose element it is in.
fn of_source(text: &str, found: &[Classed], counts: fn(&Change) -> bool) -> Marked {
    let mut unheard = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut unheard);
    let lines = Lines::of(text);
    let mut causes = vec![Vec::new(); text.split_inclusive('\n').count()];
    for (number, classed) in found.iter().enumerate() {
        let Difference { change, cause, .. } = &classed.difference;
        let tag = |el: &xml::El<'_>| el.span().start <= cause.span.start && cause.span.start < el.span().end;
        let Some(el) = doc.elements().find(tag).filter(|_| counts(change) && !cause.span.is_none()) else { continue };
        // In the whole domain everything is.
        let whole = if el.site() == doc.root().map_or(el.site(), |root| root.site()) { el.span() } else { el.whole() };
        let (first, last) = (lines.place(whole.start).0, lines.place(whole.end).0);
        causes.iter_mut().take(last).skip(first.saturating_sub(1)).for_each(|line| line.push(number));
    }
    Marked { text: text.to_string(), causes }
}

/// The lines of a source are counted otherwise on the other side, and a cause names only one of them: a line that stands for
/// another one is changed by what changed that.
fn follow_the_other_side(pair: &mut Pair) {
    let diff = TextDiff::from_lines(&pair.old.text, &pair.new.text);
    for op in diff.ops() {
        let DiffOp::Replace { old_index, old_len, new_index, new_len } = *op else { continue };
        for i in 0..old_len.min(new_len) {
            if let (Some(before), Some(after)) =
                (pair.old.causes.get_mut(old_index + i), pair.new.causes.get(new_index + i))
            {
                before.clone_from(after);
            }
        }
    }
}

fn outputs(tabs: &[(Tab, Vec<Pair>)], out: &mut Html) {
    out.raw("<section class=\"outputs\" id=\"outputs\" aria-label=\"Outputs\">\n<nav class=\"bar tabs\" aria-label=\"Outputs\">");
    for ((id, title, _), pairs) in tabs {
        let (target, own) = (format!("#tab-{id}"), format!("to-{id}"));
        let same = pairs.iter().all(Pair::is_same);
        let class = if same { "same" } else { "differs" };
        out.open("a", &[("class", Value::Text(class)), ("href", Value::Text(&target)), ("id", Value::Text(&own))]);
        out.text(title).raw("<span class=\"lit\"></span></a>");
    }
    out.raw("</nav>\n");
    for (at, ((id, title, about), pairs)) in tabs.iter().enumerate() {
        page::begin_panel(id, title, about, out);
        for (number, pair) in pairs.iter().enumerate().filter(|(_, pair)| !pair.is_same()) {
            out.raw("<article class=\"file\">").element("h3", "", &pair.name);
            beside(pair, (at, number), out);
            out.raw("</article>\n");
        }
        let same = Vec::from_iter(pairs.iter().filter(|pair| pair.is_same()).map(|pair| pair.name.as_str()));
        if !same.is_empty() {
            out.raw("<p class=\"about\">The same on both sides: ").text(&same.join(", ")).raw("</p>\n");
        }
        out.raw("</section>\n");
    }
    out.raw("</section>\n");
}

/// A text before and after, side by side; what is the same is left out where it is long.
fn beside(pair: &Pair, place: (usize, usize), out: &mut Html) {
    let diff = TextDiff::from_lines(&pair.old.text, &pair.new.text);
    let old = Vec::from_iter(pair.old.text.lines());
    let new = Vec::from_iter(pair.new.text.lines());
    let mut number = 0;
    out.raw("<div class=\"scroll\" tabindex=\"0\"><table class=\"beside\"><thead><tr><td class=\"at\"></td>");
    out.raw("<th scope=\"col\">before</th><td class=\"at\"></td><th scope=\"col\">after</th></tr></thead>\n<tbody>\n");
    let groups = diff.grouped_ops(AROUND);
    for (group, ops) in groups.iter().enumerate() {
        if group > 0 {
            out.raw("<tr class=\"gap\"><td colspan=\"4\">…</td></tr>\n");
        }
        for op in ops {
            let (before, after) = (op.old_range(), op.new_range());
            let equal = matches!(op, DiffOp::Equal { .. });
            for i in 0..before.len().max(after.len()) {
                out.raw("<tr>");
                for (range, lines, side, class) in [(&before, &old, &pair.old, "del"), (&after, &new, &pair.new, "ins")]
                {
                    let at = range.start + i;
                    let line = lines.get(at).filter(|_| i < range.len());
                    cell(
                        line.map(|text| (at, *text)),
                        side.causes.get(at).filter(|_| !equal),
                        class,
                        place,
                        &mut number,
                        out,
                    );
                }
                out.raw("</tr>\n");
            }
        }
    }
    out.raw("</tbody></table></div>");
}

/// A line of one side. With causes it is a changed one.
fn cell(
    line: Option<(usize, &str)>,
    causes: Option<&Vec<usize>>,
    class: &'static str,
    place: (usize, usize),
    number: &mut usize,
    out: &mut Html,
) {
    let Some((at, text)) = line else {
        out.raw("<td></td><td></td>");
        return;
    };
    out.raw("<td class=\"at\">").number(at + 1).raw("</td>");
    let Some(causes) = causes else {
        out.element("td", "code", text);
        return;
    };
    let class = if class == "del" { "code gone" } else { "code come" };
    out.open("td", &[("class", Value::Text(class))]);
    match causes.first() {
        Some(first) => {
            let own = format!("o{}-{}-{number}", place.0, place.1);
            let all = causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            *number += 1;
            let attributes = [
                ("class", Value::Text("o")),
                ("id", Value::Text(&own)),
                ("href", Value::Id("#c", *first)),
                ("data-c", Value::Text(&all)),
            ];
            out.open("a", &attributes).text(text).close("a");
        }
        None => {
            out.text(text);
        }
    }
    out.raw("</td>");
}
