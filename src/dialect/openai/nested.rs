//! Members of inner objects that only this dialect knows.
//!
//! They are kept beside the others, under the way to them: `stream_options.include_obfuscation`. That is
//! also the name by which they are reported as lost.

use crate::dialect::hub::Extras;
use crate::dialect::tree::Node;
use crate::dialect::write::Object;

/// The objects of which single members are kept.
const WAYS: [&str; 6] =
    ["stream_options", "response_format", "response_format.json_schema", "reasoning", "thinking", "message"];

/// Keeps the members of `node`, which stands at `way`, that are not `known`.
pub fn keep<'a>(extras: &mut Extras<'a>, way: &'static str, node: &Node<'a>, known: &[&str]) {
    debug_assert!(WAYS.contains(&way));
    for (key, value) in node.members() {
        if !known.contains(&&**key) && !value.is_null() {
            extras.keep(format!("{way}.{key}"), value.raw());
        }
    }
}

/// Keeps one of them aside: nobody else would miss it.
pub fn keep_aside<'a>(extras: &mut Extras<'a>, way: &'static str, key: &str, node: &Node<'a>) {
    debug_assert!(WAYS.contains(&way));
    extras.keep_aside(format!("{way}.{key}"), node.raw());
}

/// Says again what was kept of the object at `way`.
pub fn write(extras: &Extras<'_>, way: &str, object: &mut Object<'_>) {
    for (key, raw) in extras.all() {
        if let Some((at, member)) = key.rsplit_once('.').filter(|(at, _)| *at == way) {
            debug_assert!(!at.is_empty());
            object.raw(member, raw);
        }
    }
}

/// Is anything kept of the object at `way`?
pub fn is_kept(extras: &Extras<'_>, way: &str) -> bool {
    extras.all().any(|(key, _)| key.rsplit_once('.').is_some_and(|(at, _)| at == way))
}

/// Says again what was kept of the outermost object.
pub fn write_outer(extras: &Extras<'_>, object: &mut Object<'_>) {
    for (key, raw) in extras.all() {
        let is_inner = key.rsplit_once('.').is_some_and(|(at, _)| WAYS.contains(&at));
        if !is_inner {
            object.raw(key, raw);
        }
    }
}
