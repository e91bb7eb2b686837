//! The command line: tokens of a process, and the texts that show them.
//!
//! A process becomes tokens here and nowhere else: the systemd unit, `virtc run` and `virtc argv`
//! read the same ones. Names are QEMU's.

mod format;
mod json;
mod options;
mod script;

pub use format::{Format, traced, write};
pub use json::{write_props, write_string};
pub use options::{unfit, write_options};
pub use script::script;

use crate::plan::{Arg, ArgValue, Form, Process};

/// The arguments of a process as tokens: switch, value, switch, … The program is not among them, nor
/// is the environment.
pub fn tokens(process: &Process) -> Vec<String> {
    let mut out = Vec::with_capacity(process.args.len() * 2);
    for arg in &process.args {
        out.push(arg.switch.to_string());
        if has_value(arg) {
            let mut value = String::new();
            write_value(&mut value, &arg.value);
            out.push(value);
        }
    }
    out
}

/// Appends the second token of an argument, if it has one.
pub(crate) fn write_value_of(out: &mut String, arg: &Arg) -> bool {
    write_value(out, &arg.value);
    has_value(arg)
}

/// Whether a second token follows the switch.
fn has_value(arg: &Arg) -> bool {
    arg.value != ArgValue::None
}

/// Appends the second token of an argument, unquoted.
fn write_value(out: &mut String, value: &ArgValue) {
    match value {
        ArgValue::None => {}
        ArgValue::Text(text) => out.push_str(text),
        ArgValue::Props(props, Form::Json) => write_props(out, props),
        ArgValue::Props(props, Form::Options) => write_options(out, props),
    }
}

/// Calls `each` with every argument of the command line that is one line of it: first the program,
/// then each switch with its value. `scratch` is the buffer in which values are made.
fn each_token(process: &Process, scratch: &mut String, mut each: impl FnMut(TokenKind, &str)) {
    each(TokenKind::Program, &process.program);
    for arg in &process.args {
        each(TokenKind::Switch, &arg.switch);
        match &arg.value {
            ArgValue::None => {}
            ArgValue::Text(text) => each(TokenKind::Value, text),
            props => {
                scratch.clear();
                write_value(scratch, props);
                each(TokenKind::Value, scratch);
            }
        }
    }
}

/// The part that a token plays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Program,
    Switch,
    Value,
}
