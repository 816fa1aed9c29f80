//! The descriptor of a file transfer over HTTP (RCC.07, file transfer via HTTP).
//!
//! A sender uploads a file to its carrier's content server, which answers with a descriptor: where the file is, how large it is, until
//! when it is kept. The descriptor is what travels to the receiver. What is at the address is for us always ciphertext; descriptors
//! of standard peers are read as well, and nothing is fetched because of one without a decision of the client's.
//!
//! Two documents: [`Descriptor`] (the answer to an upload, and the message to the receiver), and [`ResumeInfo`] (how much of an upload
//! that broke off the server has).

mod url;

use std::fmt::Write as _;

use roxmltree::Node;

pub use self::url::{ContentUrl, UrlError};
use crate::stamp::Timestamp;
use crate::text::{Line, MediaType};
use crate::xml;

/// The media type of a descriptor.
pub const CONTENT_TYPE: &str = "application/vnd.gsma.rcs-ft-http+xml";

const NAMESPACE: &str = "urn:gsma:params:xml:ns:rcs:rcs:fthttp";

/// The largest file that a descriptor may announce: what a phone's storage could hold, well within what sums of sizes can express.
pub const FILE_LEN_MAX: u64 = 1 << 40;

/// The longest name of a file that is kept.
const NAME_LEN_MAX: usize = 255;

/// Why bytes are not a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FtError {
    /// Not XML as it is read here, or another document.
    #[error("not a descriptor's document")]
    BadDocument,
    /// No file, or two.
    #[error("the descriptor names no file, or several")]
    BadFileCount,
    /// No size, or one that cannot be.
    #[error("a size that is missing or cannot be")]
    BadSize,
    /// No media type, or none that can be read.
    #[error("a media type that is missing or is none")]
    BadContentType,
    /// No address.
    #[error("no address")]
    NoUrl,
    /// An address that is not fetched.
    #[error("an address that is not one of HTTP")]
    BadUrl(#[from] UrlError),
    /// A range that is missing or is none.
    #[error("a range that is missing or is none")]
    BadRange,
}

impl FtError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadDocument => "ft_bad_document",
            Self::BadFileCount => "ft_bad_file_count",
            Self::BadSize => "ft_bad_size",
            Self::BadContentType => "ft_bad_content_type",
            Self::NoUrl => "ft_no_url",
            Self::BadUrl(_) => "ft_bad_url",
            Self::BadRange => "ft_bad_range",
        }
    }
}

/// One file, or its thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes at the address.
    pub size: u64,
    /// The file's name; for show, never a path. We write none: it would be readable.
    pub name: Option<Line>,
    /// The media type of what is at the address.
    pub content_type: MediaType,
    /// The address.
    pub url: ContentUrl,
    /// Until when it is kept there.
    pub until: Option<Timestamp>,
}

/// A descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The file.
    pub file: FileInfo,
    /// A small picture of it, as standard peers send one.
    pub thumbnail: Option<FileInfo>,
}

impl Descriptor {
    /// A document.
    ///
    /// # Errors
    /// [`FtError`]. Elements that are not known are passed over.
    pub fn parse(document: &[u8]) -> Result<Self, FtError> {
        let document = xml::parse(document).ok_or(FtError::BadDocument)?;
        let root = document.root_element();
        if !xml::is(root, NAMESPACE, "file") {
            return Err(FtError::BadDocument);
        }
        let (mut file, mut thumbnail) = (None, None);
        for info in xml::children(root, NAMESPACE, "file-info") {
            let place = match info.attribute("type") {
                Some("file") => &mut file,
                Some("thumbnail") => &mut thumbnail,
                _ => continue,
            };
            if place.replace(FileInfo::read(info)?).is_some() {
                return Err(FtError::BadFileCount);
            }
        }
        Ok(Self { file: file.ok_or(FtError::BadFileCount)?, thumbnail })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<file xmlns=\"{NAMESPACE}\">");
        if let Some(thumbnail) = &self.thumbnail {
            thumbnail.write(&mut out, "thumbnail");
        }
        self.file.write(&mut out, "file");
        out.push_str("</file>");
        out
    }
}

impl FileInfo {
    fn read(info: Node<'_, '_>) -> Result<Self, FtError> {
        let child = |name, error: FtError| xml::only_child(info, NAMESPACE, name).map_err(|_| error);
        let size = child("file-size", FtError::BadSize)?.and_then(|node| number(&xml::text(node)));
        let size = size.filter(|size| *size <= FILE_LEN_MAX).ok_or(FtError::BadSize)?;
        let content_type = child("content-type", FtError::BadContentType)?.ok_or(FtError::BadContentType)?;
        let content_type = MediaType::parse(&xml::text(content_type)).map_err(|_| FtError::BadContentType)?;
        let name = child("file-name", FtError::BadDocument)?.and_then(|node| file_name(&xml::text(node)));
        let data = child("data", FtError::NoUrl)?.ok_or(FtError::NoUrl)?;
        let url = data.attribute("url").ok_or(FtError::NoUrl)?.trim();
        let url = ContentUrl::parse(url)?;
        let until = data.attribute("until").and_then(Timestamp::parse);
        Ok(Self { size, name, content_type, url, until })
    }

    fn write(&self, out: &mut String, kind: &str) {
        let _ = write!(out, "<file-info type=\"{kind}\"><file-size>{}</file-size>", self.size);
        if let Some(name) = &self.name {
            let _ = write!(out, "<file-name>{}</file-name>", xml::escape(name.as_str()));
        }
        let content_type = xml::escape(self.content_type.as_str());
        let _ = write!(
            out,
            "<content-type>{content_type}</content-type><data url=\"{}\"",
            xml::escape(&self.url.to_string())
        );
        if let Some(until) = self.until {
            let _ = write!(out, " until=\"{until}\"");
        }
        out.push_str("/></file-info>");
    }
}

/// The last part of what may be a path, if it can be shown on one line.
fn file_name(text: &str) -> Option<Line> {
    let name = text.rsplit(['/', '\\']).next()?.trim();
    let is_sound = !name.is_empty() && name.len() <= NAME_LEN_MAX && !name.chars().all(|c| c == '.');
    Line::parse(name).ok().filter(|_| is_sound)
}

/// Digits only: the standard library would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// How much of an upload a content server has, and where the rest goes. Both ends of the range are offsets in bytes, from zero, and
/// belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeInfo {
    /// The first byte that the server has.
    pub start: u64,
    /// The last byte that the server has.
    pub end: u64,
    /// Where the rest is put.
    pub url: ContentUrl,
}

impl ResumeInfo {
    /// A document.
    ///
    /// # Errors
    /// [`FtError`].
    pub fn parse(document: &[u8]) -> Result<Self, FtError> {
        let document = xml::parse(document).ok_or(FtError::BadDocument)?;
        let root = document.root_element();
        if !xml::is(root, NAMESPACE, "file-resume-info") {
            return Err(FtError::BadDocument);
        }
        let range =
            xml::only_child(root, NAMESPACE, "file-range").map_err(|_| FtError::BadRange)?.ok_or(FtError::BadRange)?;
        let offset = |name| {
            range
                .attribute(name)
                .map(str::trim)
                .and_then(number)
                .filter(|offset| *offset < FILE_LEN_MAX)
                .ok_or(FtError::BadRange)
        };
        let (start, end) = (offset("start")?, offset("end")?);
        if start > end {
            return Err(FtError::BadRange);
        }
        let data = xml::only_child(root, NAMESPACE, "data").map_err(|_| FtError::NoUrl)?.ok_or(FtError::NoUrl)?;
        let url = data.attribute("url").ok_or(FtError::NoUrl)?.trim();
        Ok(Self { start, end, url: ContentUrl::parse(url)? })
    }

    /// The document, for a content server of our own in tests.
    #[must_use]
    pub fn to_xml(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<file-resume-info xmlns=\"{NAMESPACE}\"><file-range start=\"{}\" end=\"{}\"/>\
             <data url=\"{}\"/></file-resume-info>",
            self.start,
            self.end,
            xml::escape(&self.url.to_string())
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The shape that deployed content servers answer with.
    const DESCRIPTOR: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<file xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\" \
        xmlns:am=\"urn:gsma:params:xml:ns:rcs:rcs:rram\">\n<file-info type=\"thumbnail\">\n<file-size>300</file-size>\n\
        <content-type>image/jpeg</content-type>\n<data url=\"https://ft.example.test/t?a=1&amp;b=2\" until=\"2026-12-01T10:00:00Z\"/>\n\
        </file-info>\n<file-info type=\"file\" file-disposition=\"render\">\n<file-size>4096</file-size>\n<file-name>a/../cat.jpg</file-name>\n\
        <content-type>image/jpeg</content-type>\n<am:playing-length>5</am:playing-length>\n\
        <data url=\"https://ft.example.test:8443/f\" until=\"2026-12-01T12:00:00.000+02:00\"/>\n</file-info>\n</file>";

    fn parse(text: &str) -> Result<Descriptor, FtError> {
        Descriptor::parse(text.as_bytes())
    }

    #[test]
    fn a_descriptor_is_read_with_its_thumbnail() {
        let descriptor = parse(DESCRIPTOR).unwrap();
        assert_eq!(descriptor.file.size, 4096);
        assert_eq!(descriptor.file.name.as_ref().unwrap().as_str(), "cat.jpg");
        assert_eq!(descriptor.file.until.unwrap().to_string(), "2026-12-01T10:00:00Z");
        assert_eq!(descriptor.file.url.authority(), "ft.example.test:8443");
        assert!(descriptor.file.url.is_tls());
        assert_eq!(descriptor.thumbnail.as_ref().unwrap().url.to_string(), "https://ft.example.test/t?a=1&b=2");
        assert_eq!(parse(&descriptor.to_xml()), Ok(descriptor));
    }

    #[test]
    fn a_descriptor_has_one_file_with_a_size_a_type_and_an_address() {
        assert_eq!(parse(&DESCRIPTOR.replace("\"thumbnail\"", "\"file\"")), Err(FtError::BadFileCount));
        assert_eq!(parse(&DESCRIPTOR.replace("\"file\"", "\"other\"")), Err(FtError::BadFileCount));
        for size in ["", "-1", "+1", "1e3", "99999999999999999999", "1099511627777"] {
            assert_eq!(parse(&DESCRIPTOR.replace("4096", size)), Err(FtError::BadSize), "{size}");
        }
        assert_eq!(parse(&DESCRIPTOR.replace("image/jpeg", "image")), Err(FtError::BadContentType));
        assert_eq!(parse(&DESCRIPTOR.replace(" url=", " uri=")), Err(FtError::NoUrl));
        let elsewhere = DESCRIPTOR.replace("https://ft.example.test:8443/f", "file:///etc/passwd");
        assert_eq!(parse(&elsewhere), Err(FtError::BadUrl(UrlError::Malformed)));
        assert_eq!(parse(&DESCRIPTOR.replace("fthttp", "other")), Err(FtError::BadDocument));
        assert_eq!(
            parse(&format!("<!DOCTYPE a>{}", DESCRIPTOR.split_once('\n').unwrap().1)),
            Err(FtError::BadDocument)
        );
    }

    #[test]
    fn the_state_of_an_upload_is_read() {
        let info = ResumeInfo { start: 0, end: 999, url: "https://ft.example.test/put?x=1&y=2".parse().unwrap() };
        assert_eq!(ResumeInfo::parse(info.to_xml().as_bytes()), Ok(info.clone()));
        assert_eq!(ResumeInfo::parse(info.to_xml().replace("\"0\"", "\"1000\"").as_bytes()), Err(FtError::BadRange));
        assert_eq!(ResumeInfo::parse(info.to_xml().replace("\"0\"", "\"x\"").as_bytes()), Err(FtError::BadRange));
        assert_eq!(ResumeInfo::parse(DESCRIPTOR.as_bytes()), Err(FtError::BadDocument));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_in_a_descriptor_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Descriptor::parse(&bytes);
            let _ = ResumeInfo::parse(&bytes);
        }

        #[test]
        fn damaged_descriptors_that_are_still_read_are_written_to_the_same(at in 0..DESCRIPTOR.len(), byte in any::<u8>()) {
            let mut bytes = DESCRIPTOR.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(descriptor) = Descriptor::parse(&bytes) {
                prop_assert_eq!(Descriptor::parse(descriptor.to_xml().as_bytes()), Ok(descriptor));
            }
        }
    }
}
