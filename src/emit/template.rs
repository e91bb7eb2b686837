//! Templates: fixed prose in Handlebars, fields that only take escaped values.

use super::traced::{Mark, Traced, wrap};
use crate::diag::{Diagnostics, Span, codes::emit};
use crate::escape::{Escaped, Language};
use crate::plan::Cause;
use handlebars::{Handlebars, no_escape};
use serde_json::{Map, Value};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// The built-in templates: name, text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("service", include_str!("../../templates/service.hbs")),
    ("target", include_str!("../../templates/target.hbs")),
    ("slice", include_str!("../../templates/slice.hbs")),
    ("sysusers", include_str!("../../templates/sysusers.hbs")),
    ("tmpfiles", include_str!("../../templates/tmpfiles.hbs")),
    ("vfio", include_str!("../../templates/vfio.hbs")),
    ("udev", include_str!("../../templates/udev.hbs")),
    ("apparmor", include_str!("../../templates/apparmor.hbs")),
    ("apparmor-files", include_str!("../../templates/apparmor-files.hbs")),
    ("file_contexts", include_str!("../../templates/file_contexts.hbs")),
    ("cil", include_str!("../../templates/cil.hbs")),
];

/// A set of templates. They are parsed when the first one is used, so that a command that needs none
/// does not pay for them.
#[derive(Default)]
pub struct Templates {
    own: Vec<(String, String)>,
    parsed: OnceLock<Handlebars<'static>>,
    unfilled: bool,
}

impl Templates {
    /// The built-in templates.
    pub fn built_in() -> Templates {
        Templates::default()
    }

    /// The built-in templates, never filled in: an output is the text of its fields. That is enough for who asks for faults and
    /// compares outputs, and to parse the templates takes longer than to compile a domain. (A test fills in the built-in ones.)
    pub fn unfilled() -> Templates {
        Templates { unfilled: true, ..Templates::default() }
    }

    /// Whether only faults are looked for.
    pub fn are_unfilled(&self) -> bool {
        self.unfilled
    }

    /// The built-in templates, some replaced: name (`service`) and text. Reports unknown names and faults.
    pub fn with(own: Vec<(String, String)>, diags: &mut Diagnostics) -> Templates {
        let mut parser = empty();
        for (name, text) in &own {
            if !BUILT_IN.iter().any(|(known, _)| known == name) {
                let known: Vec<&str> = BUILT_IN.iter().map(|(n, _)| *n).collect();
                diags
                    .error(&emit::BAD_TEMPLATE, Span::NONE, format!("there is no template '{name}.hbs'"))
                    .help(format!("the templates are {}", known.join(", ")));
            } else if let Err(why) = parser.register_template_string(name, text) {
                diags.error(
                    &emit::BAD_TEMPLATE,
                    Span::NONE,
                    format!("the template '{name}.hbs' does not parse: {why}"),
                );
            }
        }
        Templates { own, ..Templates::default() }
    }

    fn parsed(&self) -> &Handlebars<'static> {
        self.parsed.get_or_init(|| {
            let mut all = empty();
            let own = self.own.iter().map(|(n, t)| (n.as_str(), t.as_str()));
            for (name, text) in BUILT_IN.iter().copied().chain(own) {
                // Own templates were parsed by `with`, the built-in ones by a test.
                let _ = all.register_template_string(name, text);
            }
            all
        })
    }

    /// The text that a template makes of these fields.
    pub fn render<F>(&self, name: &str, fields: &Fields<F>, diags: &mut Diagnostics) -> Traced {
        if self.unfilled {
            return Traced::of(fields.map.values().map(Value::to_string).collect());
        }
        match self.parsed().render(name, &fields.map) {
            Ok(text) => Traced::of(text),
            Err(why) => {
                let message = format!("the template '{name}.hbs' cannot be filled in: {}", why.reason());
                diags.error(&emit::BAD_TEMPLATE, Span::NONE, message);
                Traced::default()
            }
        }
    }
}

fn empty() -> Handlebars<'static> {
    let mut parser = Handlebars::new();
    // The values are escaped for their own language already.
    parser.register_escape_fn(no_escape);
    parser.set_strict_mode(true);
    parser
}

/// The fields of a template of format `F`.
pub struct Fields<F> {
    map: Map<String, Value>,
    format: PhantomData<F>,
}

impl<F> Default for Fields<F> {
    fn default() -> Self {
        Fields { map: Map::new(), format: PhantomData }
    }
}

impl<F> Fields<F> {
    /// No fields.
    pub fn new() -> Fields<F> {
        Fields::default()
    }

    /// Sets a field to a value.
    pub fn put<L: Language<Format = F>>(&mut self, name: &'static str, value: Escaped<L>) -> &mut Self {
        self.map.insert(name.to_string(), Value::String(value.to_string()));
        self
    }

    /// Sets a field to a value that `causes` brought about.
    pub fn traced<L: Language<Format = F>>(
        &mut self,
        name: &'static str,
        value: Escaped<L>,
        causes: &[&Cause],
    ) -> &mut Self {
        let wrapped = causes.iter().fold(value.to_string(), |text, cause| wrap(&text, cause));
        self.map.insert(name.to_string(), Value::String(wrapped));
        self
    }

    /// Sets a field to a value of whose parts it is known what brought them about.
    pub(super) fn in_parts<L: Language<Format = F>>(
        &mut self,
        name: &'static str,
        value: Escaped<L>,
        parts: &[Mark],
    ) -> &mut Self {
        let (text, mut out, mut at) = (value.as_str(), String::new(), 0);
        for part in parts {
            out.push_str(text.get(at..part.range.start).unwrap_or_default());
            out.push_str(&wrap(text.get(part.range.clone()).unwrap_or_default(), &part.cause));
            at = part.range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        self.map.insert(name.to_string(), Value::String(out));
        self
    }

    /// Sets a field to a value, or to nothing, which `{{#if}}` tells apart.
    pub fn maybe<L: Language<Format = F>>(&mut self, name: &'static str, value: Option<Escaped<L>>) -> &mut Self {
        self.map.insert(name.to_string(), value.map_or(Value::Null, |v| Value::String(v.to_string())));
        self
    }

    /// Sets a field to text that is part of virtc.
    pub fn word(&mut self, name: &'static str, word: &'static str) -> &mut Self {
        self.map.insert(name.to_string(), Value::String(word.to_string()));
        self
    }

    /// Sets a field to a truth value.
    pub fn flag(&mut self, name: &'static str, value: bool) -> &mut Self {
        self.map.insert(name.to_string(), Value::Bool(value));
        self
    }

    /// Sets a field to a list of records.
    pub fn list(&mut self, name: &'static str, records: Vec<Fields<F>>) -> &mut Self {
        let records = records.into_iter().map(|r| Value::Object(r.map)).collect();
        self.map.insert(name.to_string(), Value::Array(records));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_templates_parse() {
        for (name, text) in BUILT_IN {
            empty().register_template_string(name, text).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
    }

    #[test]
    fn own_templates_replace_and_are_checked() {
        let mut diags = Diagnostics::new();
        let own = |name: &str, text: &str| vec![(name.to_string(), text.to_string())];
        let templates = Templates::with(own("slice", "[{{description}}]"), &mut diags);
        assert!(diags.is_empty());
        let mut fields = Fields::new();
        fields.put("description", Escaped::<crate::escape::UnitText>::new("<a&b>").unwrap());
        assert_eq!(templates.render("slice", &fields, &mut diags).text, "[<a&b>]");
        Templates::with(own("slise", ""), &mut diags);
        Templates::with(own("slice", "{{#if}"), &mut diags);
        let missing = Templates::with(own("slice", "{{nothing}}"), &mut diags);
        missing.render("slice", &fields, &mut diags);
        let messages: Vec<_> = diags.iter().map(|d| d.message.as_str()).collect();
        assert!(messages[0].contains("no template 'slise.hbs'"), "{messages:?}");
        assert!(diags.has_errors());
    }
}
