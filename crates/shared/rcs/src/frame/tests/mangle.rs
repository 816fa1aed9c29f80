//! What networks do to bodies, as functions.

pub(super) fn to_lf(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, byte) in body.iter().enumerate() {
        if *byte != b'\r' || body.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

pub(super) fn to_crlf(body: &[u8]) -> Vec<u8> {
    to_lf(body).iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect()
}

pub(super) fn wrapped(text: &str, width: usize, line_end: &str) -> String {
    let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(line_end)
}

pub(super) fn quoted(text: &str, prefix: &str) -> String {
    text.lines().map(|line| format!("{prefix}{line}\r\n")).collect()
}

/// Quoted-printable as RFC 2045 has it, with everything encoded that is not a letter or a digit.
pub(super) fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = 0;
    for byte in body {
        let is_plain = byte.is_ascii_graphic() && *byte != b'=';
        let code = if is_plain { char::from(*byte).to_string() } else { format!("={byte:02X}") };
        if column + code.len() > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        column += code.len();
        out.extend_from_slice(code.as_bytes());
    }
    out
}

pub(super) fn multipart(content_type: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "--edge\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--edge\r\nContent-Type: {content_type}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n--edge--\r\n");
    out
}

pub(super) fn as_latin_1_in_utf_8(body: &[u8]) -> Vec<u8> {
    body.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
}

pub(super) fn utf_16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}
