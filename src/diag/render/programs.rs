//! The forms for programs: JSON, GitHub, SARIF.

use super::{Lines, Report};
use crate::diag::{Code, Diagnostic, Elsewhere, Severity, Span};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Adds line, column and byte range of a span, unless it points nowhere.
fn place(object: &mut Map<String, Value>, span: Span, lines: &Lines<'_>) {
    if span.is_none() {
        return;
    }
    let ((line, column), (end_line, end_column)) = (lines.place(span.start), lines.place(span.end));
    for (key, value) in [
        ("line", line),
        ("column", column),
        ("endLine", end_line),
        ("endColumn", end_column),
        ("offset", span.start as usize),
        ("length", span.range().len()),
    ] {
        object.insert(key.to_string(), value.into());
    }
}

pub(super) fn json_object(d: &Diagnostic, report: &Report<'_>, lines: &Lines<'_>) -> Value {
    let mut object = Map::new();
    object.insert("severity".to_string(), d.severity.as_str().into());
    object.insert("code".to_string(), d.code.id.into());
    object.insert("name".to_string(), d.code.name.into());
    object.insert("message".to_string(), d.message.clone().into());
    object.insert("file".to_string(), report.name.into());
    place(&mut object, d.span, lines);
    if let Some(help) = &d.help {
        object.insert("help".to_string(), help.clone().into());
    }
    if !d.edits.is_empty() {
        let edits = d.edits.iter().map(|edit| {
            let mut change = Map::new();
            change.insert("text".to_string(), edit.text.clone().into());
            place(&mut change, edit.span, lines);
            Value::Object(change)
        });
        object.insert("fix".to_string(), Value::Array(edits.collect()));
    }
    let related: Vec<Value> = related(d, lines);
    if !related.is_empty() {
        object.insert("related".to_string(), Value::Array(related));
    }
    Value::Object(object)
}

/// The other places that take part, of this file and of others.
fn related(d: &Diagnostic, lines: &Lines<'_>) -> Vec<Value> {
    let here = d.related.iter().map(|(span, words)| {
        let mut other = Map::new();
        other.insert("message".to_string(), words.clone().into());
        place(&mut other, *span, lines);
        Value::Object(other)
    });
    let there = d.elsewhere.iter().map(|other| match other.line {
        0 => json!({ "message": other.words, "file": other.file }),
        line => json!({ "message": other.words, "file": other.file, "line": line }),
    });
    here.chain(there).collect()
}

/// A workflow command. GitHub's runner decodes %25, %0D, %0A everywhere and %3A, %2C in properties.
pub(super) fn github(d: &Diagnostic, report: &Report<'_>, lines: &Lines<'_>) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let command = match d.severity {
        Severity::Note => "notice",
        other => other.as_str(),
    };
    let mut line = format!("::{command} file={}", property(report.name));
    if !d.span.is_none() {
        let ((from, column), (to, end_column)) = (lines.place(d.span.start), lines.place(d.span.end));
        let _ = write!(line, ",line={from},endLine={to}");
        // The runner accepts columns only where the range stays on one line.
        if from == to {
            let _ = write!(line, ",col={column},endColumn={end_column}");
        }
    }
    let _ = write!(line, ",title={}::{}", property(&format!("{} {}", d.code.id, d.code.name)), data(&d.message));
    if let Some(help) = &d.help {
        let _ = write!(line, "%0A{}", data(help));
    }
    line
}

fn sarif_location(name: &str, span: Span, lines: &Lines<'_>, message: Option<&str>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(name) } });
    if !span.is_none() {
        let ((line, column), (end_line, end_column)) = (lines.place(span.start), lines.place(span.end));
        physical["region"] =
            json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column });
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(text) = message {
        location["message"] = json!({ "text": text });
    }
    location
}

/// A place in another file, whose text is not at hand.
fn sarif_elsewhere(other: &Elsewhere) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&other.file) } });
    if other.line > 0 {
        physical["region"] = json!({ "startLine": other.line });
    }
    json!({ "physicalLocation": physical, "message": { "text": other.words } })
}

/// The changes that mend a fault.
fn sarif_fix(d: &Diagnostic, name: &str, lines: &Lines<'_>) -> Value {
    let replacements: Vec<Value> = (d.edits.iter())
        .map(|edit| {
            let ((line, column), (end_line, end_column)) = (lines.place(edit.span.start), lines.place(edit.span.end));
            let region =
                json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column });
            json!({ "deletedRegion": region, "insertedContent": { "text": edit.text } })
        })
        .collect();
    json!({
        "description": { "text": d.help.as_deref().unwrap_or(&d.message) },
        "artifactChanges": [{ "artifactLocation": { "uri": uri(name) }, "replacements": replacements }],
    })
}

/// A path as a URI reference: everything that is not unreserved, `/` or `:` is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn sarif(reports: &[Report<'_>]) -> Value {
    let mut rules: Vec<&'static Code> = Vec::new();
    let mut results = Vec::new();
    for report in reports.iter().filter(|r| !r.diags.is_empty()) {
        let lines = Lines::of(report.text);
        for d in report.diags.sorted() {
            let index = rules.iter().position(|r| *r == d.code).unwrap_or_else(|| {
                rules.push(d.code);
                rules.len() - 1
            });
            let text = match &d.help {
                Some(help) => format!("{}\n\n{help}", d.message),
                None => d.message.clone(),
            };
            let here = (d.related.iter()).map(|(span, words)| sarif_location(report.name, *span, &lines, Some(words)));
            let related: Vec<Value> = here.chain(d.elsewhere.iter().map(sarif_elsewhere)).collect();
            let mut result = json!({
                "ruleId": d.code.id,
                "ruleIndex": index,
                "level": d.severity.as_str(),
                "message": { "text": text },
                "locations": [sarif_location(report.name, d.span, &lines, None)],
            });
            if !related.is_empty() {
                result["relatedLocations"] = Value::Array(related);
            }
            if !d.edits.is_empty() {
                result["fixes"] = json!([sarif_fix(d, report.name, &lines)]);
            }
            results.push(result);
        }
    }
    let rules: Vec<Value> = (rules.iter())
        .map(|c| {
            json!({
                "id": c.id,
                "name": c.name,
                "shortDescription": { "text": c.explain.lines().next().unwrap_or(c.name) },
                "help": { "text": c.explain },
            })
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "virtc", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}
