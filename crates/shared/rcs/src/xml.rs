//! The XML that carriers send: small documents, without a document type and without entities of their own.
//!
//! The library reads a whole document into a tree without recursion; a document type declaration is an error, so no entity is ever
//! expanded or fetched. Size, number of nodes, attributes and namespaces are bounded before there is a tree: the library compares each
//! attribute of an element with the others, and copies to each element that declares a namespace all that were declared above it.

use roxmltree::{Document, Node, ParsingOptions};

/// Bytes of a document. The largest that is in use is a file's descriptor with two signed URLs, at some six kilobytes.
pub(crate) const LEN_MAX: usize = 32 * 1024;

/// Nodes of a document, texts and attributes' elements included.
const NODES_MAX: u32 = 512;

/// Equals signs of a document: each attribute has one, and so have addresses. A descriptor with two signed addresses has some fifty.
const EQUALS_MAX: usize = 512;

/// Declarations of namespaces. Documents in use have three.
const NAMESPACES_MAX: usize = 32;

/// Reads a document; `None` for what is none, or is too large.
pub(crate) fn parse(bytes: &[u8]) -> Option<Document<'_>> {
    if bytes.len() > LEN_MAX {
        return None;
    }
    let has_few = memchr::memchr_iter(b'=', bytes).nth(EQUALS_MAX).is_none()
        && memchr::memmem::find_iter(bytes, b"xmlns").nth(NAMESPACES_MAX).is_none();
    if !has_few {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Each element that declares a namespace costs the library all that were declared above it: a second for 26 kilobytes.
    #[test]
    fn a_document_of_nothing_but_namespaces_or_attributes_is_refused() {
        let many =
            |count: usize, each: &str| (0..count).map(|at| each.replace('#', &at.to_string())).collect::<String>();
        let namespaces = format!("<a{}>{}</a>", many(900, " xmlns:n#='u#'"), many(400, "<b xmlns:q='1'/>"));
        assert!(namespaces.len() < LEN_MAX && parse(namespaces.as_bytes()).is_none());
        assert!(parse(format!("<a{}/>", many(1500, " n#=''")).as_bytes()).is_none());
        assert!(
            parse(format!("<a{}>{}</a>", many(10, " xmlns:n#='u#'"), many(100, "<b c='d'/>")).as_bytes()).is_some()
        );
    }
}
