//! What people hand over instead of holding a phone to a screen: screenshots, photos, pictures of pictures; and what an attacker would.

#![allow(clippy::unwrap_used, clippy::panic)]

use image::{ImageEncoder as _, Luma, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::qr;

/// These tests run without optimisation, on machines that do other things as well.
const PATIENCE: Duration = Duration::from_secs(300);

/// As long as a verification code is.
fn code() -> String {
    format!("rcseal://verify/{}", "AQmZ".repeat(22))
}

fn drawn(text: &str) -> GrayImage {
    image::load_from_memory(&qr::png(text).unwrap()).unwrap().to_luma8()
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn read(drawn: impl Into<DynamicImage>) -> Result<String, ScanPictureError> {
    picture_within(&encoded(drawn, ImageFormat::Png), Wanted::Verification, PATIENCE)
}

/// Turned about its middle, on grey, with a border so that nothing is cut off.
fn turned(picture: &GrayImage, degrees: f32) -> GrayImage {
    let side = picture.width() * 3 / 2;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (from, to) = (picture.width() as f32 / 2.0, side as f32 / 2.0);
    GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = (x as f32 - to, y as f32 - to);
        let (x, y) = (cos * x + sin * y + from, cos * y - sin * x + from);
        let inside = x >= 0.0 && y >= 0.0 && x < picture.width() as f32 && y < picture.height() as f32;
        if inside { *picture.get_pixel(x as u32, y as u32) } else { Luma([200]) }
    })
}

/// Noise of up to this much either way, the same in every run.
fn noisy(picture: &GrayImage, amount: i32) -> GrayImage {
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut noisy = picture.clone();
    for pixel in noisy.pixels_mut() {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        let grain = i32::try_from(noise % 1000).unwrap() * (2 * amount + 1) / 1000 - amount;
        pixel.0[0] = (i32::from(pixel.0[0]) + grain).clamp(0, 255) as u8;
    }
    noisy
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(picture(&qr::png(&code()).unwrap(), Wanted::Verification).unwrap(), code());
}

#[test]
fn a_long_invitation_is_read_too() {
    let text = format!("rcseal://invite/{}", "x".repeat(400));
    assert_eq!(picture(&qr::png(&text).unwrap(), Wanted::Invitation).unwrap(), text);
}

#[test]
fn a_turned_code_is_read() {
    for degrees in [7.0, 45.0, 90.0, 180.0, 271.0] {
        assert_eq!(read(turned(&drawn(&code()), degrees)).unwrap(), code(), "{degrees}");
    }
}

#[test]
fn a_larger_and_a_smaller_code_is_read() {
    let picture = drawn(&code());
    for side in [120, 160, 230, 350, 777, 2000] {
        let scaled = imageops::resize(&picture, side, side, FilterType::Triangle);
        assert_eq!(read(scaled).unwrap(), code(), "{side}");
    }
}

#[test]
fn a_noisy_code_is_read() {
    for amount in [30, 70, 110] {
        assert_eq!(read(noisy(&drawn(&code()), amount)).unwrap(), code(), "{amount}");
    }
}

#[test]
fn an_inverted_code_is_read() {
    let mut picture = drawn(&code());
    imageops::invert(&mut picture);
    assert_eq!(read(picture).unwrap(), code());
}

#[test]
fn a_mirrored_code_is_read() {
    assert_eq!(read(imageops::flip_horizontal(&drawn(&code()))).unwrap(), code());
}

#[test]
fn a_screenshot_with_other_things_on_it_is_read() {
    let small = imageops::resize(&drawn(&code()), 330, 330, FilterType::Triangle);
    let mut screen = RgbImage::from_fn(1280, 800, |x, y| {
        let is_text = y % 24 < 12 && (x / 9 + y / 24) % 3 == 0;
        if is_text { Rgb([230, 230, 220]) } else { Rgb([30, 32, 40]) }
    });
    imageops::overlay(&mut screen, &DynamicImage::ImageLuma8(small).to_rgb8(), 700, 310);
    assert_eq!(read(screen).unwrap(), code());
}

#[test]
fn a_photo_as_jpeg_is_read() {
    let photo = noisy(&turned(&drawn(&code()), 12.0), 25);
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 60)
        .write_image(photo.as_raw(), photo.width(), photo.height(), image::ExtendedColorType::L8)
        .unwrap();
    assert_eq!(picture(&bytes, Wanted::Verification).unwrap(), code());
}

#[test]
fn what_is_transparent_counts_as_paper() {
    let picture = drawn(&code());
    let transparent = RgbaImage::from_fn(picture.width(), picture.height(), |x, y| {
        if picture.get_pixel(x, y).0[0] == 0 { Rgba([0, 0, 0, 255]) } else { Rgba([0, 0, 0, 0]) }
    });
    assert_eq!(read(transparent).unwrap(), code());
}

#[test]
fn a_code_that_was_cut_out_without_its_margin_is_read() {
    let picture = drawn(&code());
    let cut = imageops::crop_imm(&picture, 40, 40, picture.width() - 80, picture.height() - 80).to_image();
    assert_eq!(read(cut).unwrap(), code());
}

/// Pictures side by side, on white.
fn beside(pictures: &[GrayImage]) -> GrayImage {
    let width = pictures.iter().map(GrayImage::width).sum();
    let height = pictures.iter().map(GrayImage::height).max().unwrap();
    let mut all = GrayImage::from_pixel(width, height, Luma([255]));
    let mut x = 0;
    for picture in pictures {
        imageops::overlay(&mut all, picture, x, 0);
        x += i64::from(picture.width());
    }
    all
}

#[test]
fn of_several_codes_the_wanted_one_is_read() {
    let advertisement = drawn("https://example.org/offers");
    let invitation = drawn("rcseal://invite/AAAA");
    assert_eq!(read(beside(&[advertisement, drawn(&code()), invitation])).unwrap(), code());
}

#[test]
fn two_different_codes_of_the_wanted_kind_are_a_question() {
    let other = code().replace("QmZ", "RmZ");
    match read(beside(&[drawn(&code()), drawn(&other)])) {
        Err(ScanPictureError::Several { count: 2 }) => {}
        other => panic!("{other:?}"),
    }
    // The same one twice is one.
    assert_eq!(read(beside(&[drawn(&code()), drawn(&code())])).unwrap(), code());
}

#[test]
fn a_code_of_another_kind_is_told_apart_from_none() {
    match read(drawn("rcseal://invite/AAAA")) {
        Err(ScanPictureError::OtherCode { wanted: Wanted::Verification }) => {}
        other => panic!("{other:?}"),
    }
    match read(GrayImage::from_fn(640, 480, |x, y| Luma([((x ^ y) & 255) as u8]))) {
        Err(ScanPictureError::NoCode) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(read(GrayImage::new(1, 1)), Err(ScanPictureError::NoCode)));
}

#[test]
fn what_is_no_picture_is_refused() {
    for bytes in [&b""[..], b"rcseal://verify/AAAA", b"GIF89a.........", b"%PDF-1.7"] {
        assert!(matches!(picture(bytes, Wanted::Verification), Err(ScanPictureError::Format)));
    }
    let mut cut = qr::png(&code()).unwrap();
    cut.truncate(cut.len() / 2);
    assert!(matches!(picture(&cut, Wanted::Verification), Err(ScanPictureError::Damaged(_))));
}

/// A PNG of `side` by `side` pixels whose data is one byte: what a bomb is, as far as anybody decodes it.
fn bomb(side: u32) -> Vec<u8> {
    let mut bytes = encoded(GrayImage::new(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// CRC-32 as PNG has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn a_picture_that_claims_to_be_huge_is_not_decoded() {
    for side in [8_193, 20_000, 0x7fff_ffff] {
        let refused = picture(&bomb(side), Wanted::Verification);
        assert!(matches!(refused, Err(ScanPictureError::TooLarge)), "{side}: {refused:?}");
    }
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let long = tempfile::NamedTempFile::new().unwrap();
    long.as_file().set_len(FILE_LEN_MAX + 1).unwrap();
    assert!(matches!(file(long.path(), Wanted::Verification), Err(ScanPictureError::TooLarge)));
}

#[test]
fn whatever_the_bytes_are_there_is_an_answer() {
    use proptest::prelude::*;
    let genuine = encoded(imageops::resize(&drawn(&code()), 64, 64, FilterType::Triangle), ImageFormat::Png);
    let config = proptest::test_runner::Config { cases: 64, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&(any::<Vec<u8>>(), any::<prop::sample::Index>(), any::<u8>()), |(noise, at, byte)| {
            let _ = picture(&noise, Wanted::Verification);
            let mut damaged = genuine.clone();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let _ = picture(&damaged, Wanted::Verification);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_search_that_panics_at_one_size_goes_on_at_the_next() {
    let parts = std::thread::Builder::new().name(THREAD.to_owned()).spawn(|| {
        let nothing: Vec<u8> = Vec::new();
        (guarded(|| nothing[7]), guarded(|| 7))
    });
    assert_eq!(parts.unwrap().join().unwrap(), (None, Some(7)));
}

/// The search itself, on what no decoder would refuse: a picture full of shapes like finder patterns, of which every three are a candidate.
#[test]
fn pictures_full_of_finder_patterns_take_a_bounded_time() {
    let finder = |x: u32, y: u32| {
        let ring = x.abs_diff(4).max(y.abs_diff(4));
        ring == 3 || ring <= 1
    };
    let picture = GrayImage::from_fn(720, 720, |x, y| Luma([if finder(x % 9, y % 9) { 0 } else { 255 }]));
    let limit = Duration::from_millis(500);
    let answer = picture_within(&encoded(picture, ImageFormat::Png), Wanted::Verification, limit);
    assert!(matches!(answer, Err(ScanPictureError::NoCode | ScanPictureError::TooHard)), "{answer:?}");
}
