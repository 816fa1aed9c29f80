//! Bodies that name a blob: media, and cards with a picture.

use std::fmt;

use rcseal_crypto::secret::Secret;

use super::{ContentError, MEDIA_LEN_MAX, NAME_LEN_MAX, SUGGESTIONS_MAX, TEXT_LEN_MAX, fixed, id, limited, proto};
use crate::id::{BlobId, Digest, EnvelopeId};
use crate::origin::Origin;
use crate::padding::ENVELOPE_LEN_MAX;

/// An encrypted blob and the key to it.
pub struct BlobReference {
    /// Where it is at the server.
    pub id: BlobId,
    /// Opens it.
    pub key: Secret<32>,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// Bytes of plaintext.
    pub size: u64,
    /// The server that has it.
    pub origin: Origin,
}

impl fmt::Debug for BlobReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReference").field("size", &self.size).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Where an envelope is kept that is too long for a carrier: the envelope of another message, sealed once more under a key of its own.
#[derive(Debug)]
pub struct EnvelopeReference {
    /// The id under which its sender knows it: what a device that cannot decrypt it names.
    pub envelope: EnvelopeId,
    /// The blob. Its size is that of an envelope.
    pub blob: BlobReference,
}

/// A picture, a film, a file.
#[derive(Debug)]
pub struct Media {
    /// The thing itself.
    pub blob: BlobReference,
    /// Its media type.
    pub content_type: String,
    /// Its name; never a path.
    pub file_name: String,
    /// Words with it; may be empty.
    pub caption: String,
    /// Pixels, or 0.
    pub width: u32,
    /// Pixels, or 0.
    pub height: u32,
    /// A small picture that the sender made.
    pub thumbnail: Option<BlobReference>,
}

/// A card with suggestions.
#[derive(Debug)]
pub struct Card {
    /// Its title.
    pub title: String,
    /// Its words.
    pub text: String,
    /// Its picture.
    pub media: Option<Media>,
    /// What one may choose.
    pub suggestions: Vec<Suggestion>,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Comes back in [`Body::Suggested`].
    pub id: [u8; 16],
    /// What it says.
    pub label: String,
    /// What it opens; empty for a reply.
    pub url: String,
}

impl BlobReference {
    fn to_proto(&self) -> proto::Blob {
        proto::Blob {
            id: self.id.as_bytes().to_vec(),
            key: self.key.expose().to_vec(),
            digest: self.digest.as_bytes().to_vec(),
            size: self.size,
            origin: self.origin.to_string(),
        }
    }

    fn from_proto(blob: &proto::Blob) -> Result<Self, ContentError> {
        // A sender names the size, and whoever fetches the blob reserves and writes as much.
        if blob.size > MEDIA_LEN_MAX {
            return Err(ContentError::TooLong { field: "blob.size" });
        }
        Ok(Self {
            id: id("blob.id", BlobId::parse(&blob.id))?,
            key: Secret::from_slice(&blob.key).ok_or(ContentError::Field { field: "blob.key" })?,
            digest: id("blob.digest", Digest::parse(&blob.digest))?,
            size: blob.size,
            origin: blob.origin.parse().map_err(|_| ContentError::Field { field: "blob.origin" })?,
        })
    }
}

impl EnvelopeReference {
    pub(super) fn to_proto(&self) -> proto::EnvelopeReference {
        proto::EnvelopeReference { envelope: self.envelope.as_bytes().to_vec(), blob: Some(self.blob.to_proto()) }
    }

    pub(super) fn from_proto(reference: &proto::EnvelopeReference) -> Result<Self, ContentError> {
        let blob = reference.blob.as_ref().ok_or(ContentError::Field { field: "blob" })?;
        let blob = BlobReference::from_proto(blob)?;
        // Whoever reads this fetches as much without being asked.
        match blob.size {
            0 => return Err(ContentError::Field { field: "blob.size" }),
            size if size > ENVELOPE_LEN_MAX as u64 => return Err(ContentError::TooLong { field: "blob.size" }),
            _ => {}
        }
        Ok(Self { envelope: id("envelope", EnvelopeId::parse(&reference.envelope))?, blob })
    }
}

impl Media {
    pub(super) fn to_proto(&self) -> proto::Media {
        proto::Media {
            blob: Some(self.blob.to_proto()),
            content_type: self.content_type.clone(),
            file_name: self.file_name.clone(),
            caption: self.caption.clone(),
            width: self.width,
            height: self.height,
            thumbnail: self.thumbnail.as_ref().map(BlobReference::to_proto),
        }
    }

    pub(super) fn from_proto(media: proto::Media) -> Result<Self, ContentError> {
        let file_name = limited("file_name", media.file_name, NAME_LEN_MAX)?;
        // A name that walks the recipient's folders is not a name.
        if file_name.contains(['/', '\\', '\0']) || file_name == ".." || file_name == "." {
            return Err(ContentError::Field { field: "file_name" });
        }
        Ok(Self {
            blob: BlobReference::from_proto(&media.blob.ok_or(ContentError::Field { field: "blob" })?)?,
            content_type: limited("content_type", media.content_type, NAME_LEN_MAX)?,
            file_name,
            caption: limited("caption", media.caption, TEXT_LEN_MAX)?,
            width: media.width,
            height: media.height,
            thumbnail: media.thumbnail.as_ref().map(BlobReference::from_proto).transpose()?,
        })
    }
}

impl Card {
    pub(super) fn to_proto(&self) -> proto::Card {
        let suggestion = |suggestion: &Suggestion| proto::Suggestion {
            id: suggestion.id.to_vec(),
            label: suggestion.label.clone(),
            url: suggestion.url.clone(),
        };
        proto::Card {
            title: self.title.clone(),
            text: self.text.clone(),
            media: self.media.as_ref().map(Media::to_proto),
            suggestions: self.suggestions.iter().map(suggestion).collect(),
        }
    }

    pub(super) fn from_proto(card: proto::Card) -> Result<Self, ContentError> {
        if card.suggestions.len() > SUGGESTIONS_MAX {
            return Err(ContentError::TooLong { field: "suggestions" });
        }
        let suggestion = |suggestion: proto::Suggestion| {
            Ok(Suggestion {
                id: fixed("suggestion.id", &suggestion.id)?,
                label: limited("suggestion.label", suggestion.label, NAME_LEN_MAX)?,
                url: limited("suggestion.url", suggestion.url, TEXT_LEN_MAX)?,
            })
        };
        Ok(Self {
            title: limited("title", card.title, NAME_LEN_MAX)?,
            text: limited("text", card.text, TEXT_LEN_MAX)?,
            media: card.media.map(Media::from_proto).transpose()?,
            suggestions: card.suggestions.into_iter().map(suggestion).collect::<Result<_, _>>()?,
        })
    }
}
