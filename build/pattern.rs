//! Patterns of value types, compiled to deterministic automata.
//!
//! A small regular language over bytes: literals, classes `[a-z0-9_]` `[^/]`, `.`, groups, `|`, `?`, `*`,
//! `+`, `{m}`, `{m,}`, `{m,n}`, and `\` before a character that stands for itself. A pattern
//! matches the whole value.

use std::collections::{BTreeMap, BTreeSet};

/// A deterministic automaton. State 0 is the dead one, state 1 the first.
pub struct Dfa {
    /// The class of each byte.
    pub classes: Vec<u8>,
    /// How many classes there are.
    pub width: usize,
    /// The next state, by state and class.
    pub next: Vec<u16>,
    /// Whether a value may end in the state.
    pub accept: Vec<bool>,
}

enum Ast {
    Empty,
    Set(Box<[bool; 256]>),
    Cat(Vec<Ast>),
    Alt(Vec<Ast>),
    Repeat(Box<Ast>, usize, Option<usize>),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let b = self.peek()?;
        self.at += 1;
        Some(b)
    }

    fn eat(&mut self, b: u8) -> bool {
        let hit = self.peek() == Some(b);
        self.at += usize::from(hit);
        hit
    }

    fn alternatives(&mut self) -> Result<Ast, String> {
        let mut all = vec![self.sequence()?];
        while self.eat(b'|') {
            all.push(self.sequence()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Ast::Alt(all) })
    }

    fn sequence(&mut self) -> Result<Ast, String> {
        let mut all = Vec::new();
        while let Some(b) = self.peek() {
            if b == b'|' || b == b')' {
                break;
            }
            let atom = self.atom()?;
            all.push(self.repeated(atom)?);
        }
        Ok(if all.is_empty() { Ast::Empty } else { Ast::Cat(all) })
    }

    fn repeated(&mut self, atom: Ast) -> Result<Ast, String> {
        let mut atom = atom;
        loop {
            let (min, max) = match self.peek() {
                Some(b'?') => (0, Some(1)),
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'{') => {
                    self.at += 1;
                    let min = self.number()?;
                    let max = if self.eat(b',') {
                        if self.peek() == Some(b'}') { None } else { Some(self.number()?) }
                    } else {
                        Some(min)
                    };
                    if self.peek() != Some(b'}') {
                        return Err("'}' expected".to_string());
                    }
                    (min, max)
                }
                _ => return Ok(atom),
            };
            self.at += 1;
            atom = Ast::Repeat(Box::new(atom), min, max);
        }
    }

    fn number(&mut self) -> Result<usize, String> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        std::str::from_utf8(&self.bytes[from..self.at])
            .ok()
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| "a number expected in {}".to_string())
    }

    fn atom(&mut self) -> Result<Ast, String> {
        match self.take() {
            Some(b'(') => {
                let inner = self.alternatives()?;
                if self.eat(b')') { Ok(inner) } else { Err("')' expected".to_string()) }
            }
            Some(b'[') => self.class(),
            Some(b'.') => Ok(Ast::Set(Box::new([true; 256]))),
            Some(b'\\') => self.take().map(one).ok_or_else(|| "a character expected behind '\\'".to_string()),
            Some(b) => Ok(one(b)),
            None => Err("the pattern ends early".to_string()),
        }
    }

    fn class(&mut self) -> Result<Ast, String> {
        let mut set = [false; 256];
        let negated = self.eat(b'^');
        loop {
            let from = match self.take() {
                Some(b']') => break,
                Some(b'\\') => self.take(),
                other => other,
            }
            .ok_or("']' expected")?;
            let range = self.peek() == Some(b'-') && self.bytes.get(self.at + 1).is_some_and(|b| *b != b']');
            let to = if range {
                self.at += 1;
                self.take().unwrap_or(from)
            } else {
                from
            };
            for b in from..=to {
                set[b as usize] = true;
            }
        }
        if negated {
            set.iter_mut().for_each(|x| *x = !*x);
        }
        Ok(Ast::Set(Box::new(set)))
    }
}

fn one(b: u8) -> Ast {
    let mut set = [false; 256];
    set[b as usize] = true;
    Ast::Set(Box::new(set))
}

#[derive(Default)]
struct Nfa {
    empty: Vec<Vec<usize>>,
    step: Vec<Option<([bool; 256], usize)>>,
}

impl Nfa {
    fn state(&mut self) -> usize {
        self.empty.push(Vec::new());
        self.step.push(None);
        self.empty.len() - 1
    }

    /// Adds states for `ast` behind `from`; gives the last.
    fn add(&mut self, ast: &Ast, from: usize) -> usize {
        match ast {
            Ast::Empty => from,
            Ast::Set(set) => {
                let (a, b) = (self.state(), self.state());
                self.empty[from].push(a);
                self.step[a] = Some((**set, b));
                b
            }
            Ast::Cat(all) => all.iter().fold(from, |at, x| self.add(x, at)),
            Ast::Alt(all) => {
                let end = self.state();
                for x in all {
                    let last = self.add(x, from);
                    self.empty[last].push(end);
                }
                end
            }
            Ast::Repeat(inner, min, max) => {
                let mut at = from;
                for _ in 0..*min {
                    at = self.add(inner, at);
                }
                match max {
                    None => {
                        let hub = self.state();
                        self.empty[at].push(hub);
                        let last = self.add(inner, hub);
                        self.empty[last].push(hub);
                        hub
                    }
                    Some(max) => {
                        let end = self.state();
                        for _ in *min..*max {
                            self.empty[at].push(end);
                            at = self.add(inner, at);
                        }
                        self.empty[at].push(end);
                        end
                    }
                }
            }
        }
    }

    fn closure(&self, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut todo: Vec<usize> = from.into_iter().collect();
        while let Some(s) = todo.pop() {
            if all.insert(s) {
                todo.extend(&self.empty[s]);
            }
        }
        all
    }
}

/// Compiles a pattern.
pub fn compile(pattern: &str) -> Result<Dfa, String> {
    let mut reader = Reader { bytes: pattern.as_bytes(), at: 0 };
    let ast = reader.alternatives().map_err(|e| format!("pattern {pattern:?}: {e}"))?;
    if reader.at != pattern.len() {
        return Err(format!("pattern {pattern:?}: ')' closes nothing"));
    }
    let mut nfa = Nfa::default();
    let first = nfa.state();
    let last = nfa.add(&ast, first);

    // Bytes that every step treats alike share a class.
    let mut classes = vec![0u8; 256];
    let mut seen: BTreeMap<Vec<bool>, u8> = BTreeMap::new();
    for b in 0..256 {
        let key: Vec<bool> = nfa.step.iter().flatten().map(|(set, _)| set[b]).collect();
        let id = seen.len() as u8;
        classes[b] = *seen.entry(key).or_insert(id);
    }
    let width = seen.len();

    let mut states: BTreeMap<BTreeSet<usize>, u16> = BTreeMap::new();
    let mut order = vec![BTreeSet::new(), nfa.closure([first])];
    states.insert(order[0].clone(), 0);
    states.insert(order[1].clone(), 1);
    let mut next = vec![0u16; width];
    let mut at = 1;
    while at < order.len() {
        let from = order[at].clone();
        let mut row = vec![0u16; width];
        let mut done = vec![false; width];
        for b in 0..256 {
            let class = classes[b] as usize;
            if std::mem::replace(&mut done[class], true) {
                continue;
            }
            let to =
                nfa.closure(from.iter().filter_map(|s| nfa.step[*s].as_ref()).filter(|(set, _)| set[b]).map(|x| x.1));
            row[class] = match states.get(&to) {
                Some(id) => *id,
                None => {
                    let id = order.len() as u16;
                    states.insert(to.clone(), id);
                    order.push(to);
                    id
                }
            };
        }
        next.extend(row);
        at += 1;
        if at > 4000 {
            return Err(format!("pattern {pattern:?} needs too many states"));
        }
    }
    let accept = order.iter().map(|s| s.contains(&last)).collect();
    Ok(Dfa { classes, width, next, accept })
}
