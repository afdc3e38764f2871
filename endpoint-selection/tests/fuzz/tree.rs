//! JSON as a tree of tokens: what it writes may be what no JSON library would write, such as a key twice or half a character.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// A value. A token stands as it is written, quotes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Token(String),
    List(Vec<Tree>),
    /// Keys are tokens too, and one may come twice.
    Object(Vec<(String, Tree)>),
}

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Item(usize),
    /// The key, and which field it is: a key may come twice.
    Key(String, usize),
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let field = |(key, value): (&String, &Value)| {
                    (Value::String(key.clone()).to_string(), Self::from(value))
                };
                Self::Object(fields.iter().map(field).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Self::Token(value.to_string())
            }
        }
    }
}

impl Display for Tree {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => f.write_str(token),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Tree {
    /// How many values there are, with the whole.
    pub(crate) fn len(&self) -> usize {
        let inside: usize = match self {
            Self::Token(_) => 0,
            Self::List(items) => items.iter().map(Self::len).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| value.len()).sum(),
        };
        1 + inside
    }

    /// Value number `index`; the whole is number 0, and beyond the last one there is the whole again.
    pub(crate) fn at(&mut self, index: usize) -> &mut Self {
        let mut left = index % self.len();
        let mut at = self;
        while left > 0 {
            left -= 1;
            let children: Vec<&mut Self> = match at {
                Self::Token(_) => Vec::new(),
                Self::List(items) => items.iter_mut().collect(),
                Self::Object(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
            };
            let inside = children.into_iter().find_map(|child| {
                let len = child.len();
                if left < len {
                    return Some(child);
                }
                left -= len;
                None
            });
            at = inside.unwrap();
        }
        at
    }

    /// Every token with the way to it.
    pub(crate) fn leaves(&self) -> Vec<(Vec<Step>, &str)> {
        let mut all = Vec::new();
        self.walk(&mut Vec::new(), &mut all);
        all
    }

    fn walk<'a>(&'a self, way: &mut Vec<Step>, all: &mut Vec<(Vec<Step>, &'a str)>) {
        match self {
            Self::Token(token) => all.push((way.clone(), token)),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    way.push(Step::Item(index));
                    item.walk(way, all);
                    way.pop();
                }
            }
            Self::Object(fields) => {
                for (index, (key, value)) in fields.iter().enumerate() {
                    way.push(Step::Key(key.clone(), index));
                    value.walk(way, all);
                    way.pop();
                }
            }
        }
    }

    /// The same with another token at the end of a way.
    pub(crate) fn with(&self, way: &[Step], token: &str) -> Self {
        let Some((step, rest)) = way.split_first() else { return Self::Token(token.to_owned()) };
        let mut whole = self.clone();
        let child = match (&mut whole, step) {
            (Self::List(items), Step::Item(index)) => items.get_mut(*index),
            (Self::Object(fields), Step::Key(_, index)) => fields.get_mut(*index).map(|(_, value)| value),
            _ => None,
        };
        let child = child.unwrap();
        *child = child.with(rest, token);
        whole
    }
}

/// The key that a way's end stands under, also as one of a list's items.
pub(crate) fn key_of(way: &[Step]) -> &str {
    way.iter()
        .rev()
        .find_map(|step| if let Step::Key(key, _) = step { Some(key.as_str()) } else { None })
        .unwrap_or_default()
}

/// A way as the reader's errors write it, such as `candidates[0].address`.
pub(crate) fn written(way: &[Step]) -> String {
    way.iter().fold(String::new(), |path, step| match step {
        Step::Item(index) => format!("{path}[{index}]"),
        Step::Key(key, _) if path.is_empty() => key.trim_matches('"').to_owned(),
        Step::Key(key, _) => format!("{path}.{}", key.trim_matches('"')),
    })
}
