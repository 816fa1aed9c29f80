//! The XML that carriers send: small documents, without a document type and without entities of their own.
//!
//! The library reads a whole document into a tree without recursion; a document type declaration is an error, so no entity is ever
//! expanded or fetched. Size and number of nodes are bounded before there is a tree.

use roxmltree::{Document, Node, ParsingOptions};

/// Bytes of a document. The largest that is in use is a file's descriptor with two signed URLs, at some six kilobytes.
pub(crate) const LEN_MAX: usize = 32 * 1024;

/// Nodes of a document, texts and attributes' elements included.
const NODES_MAX: u32 = 512;

/// Reads a document; `None` for what is none, or is too large.
pub(crate) fn parse(bytes: &[u8]) -> Option<Document<'_>> {
    if bytes.len() > LEN_MAX {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

/// The elements of that name among a node's children, in the given namespace or in none: stacks leave the namespace out.
pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| is(*child, namespace, name))
}

/// Whether a node is that element.
pub(crate) fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    let tag = node.tag_name();
    node.is_element() && tag.name() == name && tag.namespace().is_none_or(|found| found == namespace)
}

/// The only child of that name; `Err` where there are several.
pub(crate) fn only_child<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'a str,
    name: &'a str,
) -> Result<Option<Node<'a, 'i>>, Ambiguous> {
    let mut found = children(node, namespace, name);
    let first = found.next();
    if found.next().is_some() { Err(Ambiguous) } else { Ok(first) }
}

/// An element that may stand once stands several times.
pub(crate) struct Ambiguous;

/// The text directly inside an element, without space at its ends.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    let text: String = node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
    text.trim().to_owned()
}

/// Text as it stands in an element or in an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // XML 1.0 has no way to write these.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
